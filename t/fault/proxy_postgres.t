# PostgreSQL behind a network that is slow, cuts answers, swallows, resets or garbles them: an answer is one's own or a 503 in
# time, and what was answered is there, once. PORTAL_LONG=1: more ways to break it, and each for longer.
use strict; use warnings; use utf8;
use Test::More;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 2, proxy => ['postgres'],
    http => join ' ', map { "portal_rate_limit_class $_ 1000000 60s;" } qw(default client-portal));
my $proxy = $t->proxy('postgres');
my $slack = PortalTest::asan() ? 3 : 1.5;
my $seconds = $ENV{PORTAL_LONG} ? 5 : 1.5;

# each of them in a workspace of its own, with a token, a customer and a portal's name of its own
my @callers = map {
    my $ws = $t->workspace;
    my $caller = { token => $t->token($ws), customer => $t->customer($ws), name => "Portal $_" };
    $caller->{session} = $t->session($caller->{customer});
    is_status($t->patch('/api/v1/client-portal/config', token => $caller->{token}, json => { portal_name => $caller->{name} }), 200, $caller->{name});
    $caller;
} 1 .. 10;

sub create { my ($caller, $key) = @_; $t->bytes(POST => '/api/customer-sessions/', token => $caller->{token}, headers => { 'Idempotency-Key' => $key },
    json => { customer_id => $caller->{customer}{id}, return_url => "https://$key.example.org/" }) }

# Reads and writes in turn; a write that was not answered is repeated under its key until it is.
sub client {
    my ($number, $round, $stop) = @_;
    my $caller = $callers[$number];
    my %told = (count => 0, refused => 0, slowest => 0, made => {}, open => [], wrong => []);
    my $ask = sub {
        my ($bytes, $right, $what) = @_;
        my $asked = time;
        my $answer = $t->ask($t->connect, $bytes, 10);
        my $took = time - $asked;
        $told{slowest} = $took if $took > $told{slowest};
        $told{count}++;
        my $status = $answer ? $answer->{status} : 'no answer';
        if ($status eq '503' && $answer->{head} =~ /^Retry-After: [1-9]/m) { $told{refused}++; return }
        my $body = $answer && json_of($answer->{body});
        return $body if $body && $right->($status, $body);
        push @{ $told{wrong} }, "$what of $number: $status " . ($answer ? $answer->{body} : '') if @{ $told{wrong} } < 3;
        return;
    };
    my $write = sub {
        my ($key) = @_;
        # 409: the first is still under way there
        my $made = $ask->(create($caller, $key), sub { $_[0] == 409 || $_[0] == 201 && $_[1]{customer_id} eq $caller->{customer}{id}
            && $_[1]{return_url} eq "https://$key.example.org/" }, 'a session');
        return $made && $made->{token} ? $told{made}{$key} = "$made->{id} $made->{token}" : undef;
    };
    for (my $n = 0; !-e $stop; $n++) {
        $ask->($t->bytes(GET => '/api/customer-portal/customers/me', token => $caller->{session}), sub { $_[0] == 200 && $_[1]{id} eq $caller->{customer}{id} }, 'me');
        $ask->($t->bytes(GET => '/api/v1/client-portal/config', token => $caller->{token}), sub { $_[0] == 200 && $_[1]{data}{portal_name} eq $caller->{name} }, 'config');
        $write->("r$round-c$number-n$n") or push @{ $told{open} }, "r$round-c$number-n$n";
    }
    # now it is well again: what was left open is settled, and what was made is told again
    for my $key (@{ $told{open} }) { for (1 .. 20) { last if $write->($key); sleep 0.1 } }
    for my $key ((sort keys %{ $told{made} })[0 .. 4]) {
        my $first = $told{made}{ $key // next };
        push @{ $told{wrong} }, "$key: not replayed" if ($write->($key) // '') ne $first;
    }
    $told{open} = @{ $told{open} };
    return \%told;
}

my $me = $t->bytes(GET => '/api/customer-portal/customers/me', token => $callers[0]{session});
my $rounds = 0;
# works: whether PostgreSQL's answers are still of use
sub through {
    my ($mode, $name, $works) = @_;
    subtest $name => sub {
        my $round = ++$rounds;
        my @before = sort $t->workers;
        my @clients = map { my $number = $_; $t->apart(sub { client($number, $round, "$t->{dir}/stop$round") }) } 0 .. $#callers;
        sleep 0.2;
        $proxy->mode($mode);
        my $begun = time;
        sleep 0.3;
        my (%codes, $longest);
        for (my $n = 0; $n < 3 || time - $begun < $seconds; $n++) {
            my $asked = time;
            my $answer = $t->ask($t->connect, $me);
            $longest = time - $asked if time - $asked > ($longest // 0);
            $codes{ $answer ? $answer->{status} : 'none' }++;
            is_deeply([$answer->{body}, $answer->{head} =~ /^(Retry-After): [1-9]/m], ['{"detail":"Service Unavailable"}', 'Retry-After']) if $answer && $answer->{status} == 503 && $n < 2;
            sleep 0.02;
        }
        is(join(' ', keys %codes), $works ? '200' : '503', $works ? 'all is as ever' : 'what needs it is 503') or diag explain \%codes;
        cmp_ok($longest, '<', 1 + $slack, sprintf 'within %.2f s', $longest);
        my $config = $t->ask($t->connect, $t->bytes(GET => '/api/v1/client-portal/config', token => $callers[0]{token}));
        is($config->{status}, 200, 'what the zone knows is served');
        $proxy->mode('pass');
        my $healed = time;
        ok($t->wait_for(sub { my $answer = $t->ask($t->connect, $me); $answer && $answer->{status} == 200 }, 8, 0.02), 'it serves again');
        my $back = time - $healed;
        cmp_ok($back, '<', 2 + $slack, sprintf 'after %.0f ms', $back * 1000);
        sleep 0.7;
        $t->write_file("stop$round", '');
        my (%sum, %made, @wrong);
        my $slowest = 0;
        for (@clients) {
            my $told = $_->();
            push @wrong, @{ $told->{wrong} };
            %made = (%made, %{ $told->{made} });
            $slowest = $told->{slowest} if $told->{slowest} > $slowest;
            $sum{$_} += $told->{$_} for qw(count refused open);
        }
        is(join("\n", @wrong), '', 'every answer was its own or a 503, and a repeated one the first again');
        my %there = map { $_->[0] => $_->[1] } @{ $t->db->selectall_arrayref(
            q(SELECT substring(return_url FROM '//(.*)\.example'), string_agg(id::text, ' ') FROM portal.customer_sessions WHERE return_url LIKE ? GROUP BY 1), undef, "https://r$round-%") };
        is_deeply(\%there, { map { $_ => $made{$_} =~ s/ .*//r } keys %made }, 'each session is there once: ' . keys %made);
        cmp_ok($slowest, '<', 2 + $slack, sprintf 'the slowest took %.2f s', $slowest);
        is_deeply([sort $t->workers], \@before, 'the workers live');
        diag sprintf '%s: %d requests, %d of them 503, the slowest %.2f s; %d sessions, %d of them on a later try; back after %.0f ms',
            $name, $sum{count}, $sum{refused}, $slowest, scalar keys %made, $sum{open}, $back * 1000;
    };
}

through('delay 100', 'a delay', 1);
through('delay 2000', 'a delay beyond the deadline');
through('cut 700', 'cut in the middle of an answer');
through('hold', 'a black hole');
through('reset', 'resets');
through('garbage', 'noise');
if ($ENV{PORTAL_LONG}) {
    through('cut 40', 'cut while it connects');
    # messages that are whole, but not those asked for, and one that is never whole
    through('garbage ' . unpack('H*', $_->[0]), "nothing but $_->[1]") for ["Z\0\0\0\5I", 'ready'], ["1\0\0\0\4", 'parsed'], ["D\0\0\0\6\0\0", 'rows'],
        ["E\0\0\0\x0fSERROR\0C1\0\0", 'errors'], ["D\x3f\xff\xff\xff\0\0", 'the beginning of a gigabyte'], ["N", 'N'];
}

is(waitpid($t->pid('helper'), WNOHANG), 0, 'the helper lives');
my @lines = grep { /postgres: / } split /\n/, $t->log_text;
cmp_ok(scalar @lines, '<', 100 * $rounds, 'the log is not flooded: ' . @lines . ' lines');
$t->done;
