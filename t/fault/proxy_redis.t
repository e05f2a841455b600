# Redis behind a network that is slow, cuts answers, swallows, resets or garbles them: who asks is told what is his, in time,
# and the limits stay literal. PORTAL_LONG=1: more ways to garble, and each for longer.
use strict; use warnings; use utf8;
use Test::More;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);
use PortalTest;

my $quota = 20;
my $budget = 1000;    # more than the default: the machine may be busy with other tests
my $t = PortalTest->new(workers => 2, proxy => ['redis'], redis_budget => "${budget}ms", http => 'portal_rate_limit_class client-portal 1000000 60s;', location => <<"NGINX");
        location /site/ { portal_workspace any; portal_auth any; portal_rate_limit $quota 60s key=address name=near;
            add_header X-Customer \$portal_customer_id always; add_header X-Limit \$portal_limit_status always; alias %%DIR%%/html/; }
        location /closed/ { portal_rate_limit 10 60s key=address name=closed on_error=deny; alias %%DIR%%/html/; }
NGINX
$t->write_file('html/page.txt', "the page\n");
my $proxy = $t->proxy('redis');
my $ws = $t->workspace;
my @customers = map { $t->customer($ws) } 1 .. 12;
my @sessions = map { $t->session($_) } @customers;
my $patience = $budget / 1000 + (PortalTest::asan() ? 3 : 1.5);    # s; far below what a hanging Redis would cost without a budget
my $seconds = $ENV{PORTAL_LONG} ? 5 : 1;

# A customer at one address after the other, asking once more than each may: the number that remains is one less each time,
# and would be another's if an answer of Redis's were.
sub visitor {
    my ($number, $round, $stop) = @_;
    my (%told, @wrong);
    for (my $address = 0; !-e $stop; $address++) {
        my $from = join '.', 10, $number, $round, $address;
        for my $remaining (reverse -1 .. $quota - 1) {
            my $asked = time;
            my $answer = $t->ask($t->connect, $t->bytes(GET => '/site/page.txt', token => $sessions[$number], headers => { 'X-Real-IP' => $from }));
            my ($head, $status) = $answer ? @$answer{qw(head status)} : ('', 'no answer');
            my ($told) = $head =~ /^X-RateLimit-Remaining: (\d+)/m;
            my $right = $remaining < 0 ? $status eq '429' : $status eq '200' && ($told // -1) == $remaining && $answer->{body} eq "the page\n";
            push @wrong, "$from, $remaining due: $status, " . ($told // 'none') unless $right && $head =~ /^X-Customer: \Q$customers[$number]{id}\E\r$/m;
            my $took = time - $asked;
            $told{slowest} = $took if $took > ($told{slowest} // 0);
            $told{count}++;
            $told{waited}++ if $took > 0.8 * $budget / 1000;
            $told{degraded}++ if $head =~ /^X-Limit: DEGRADED/m;
        }
    }
    return { %told, wrong => [@wrong[0 .. ($#wrong < 3 ? $#wrong : 3)]] };
}

# each from an address of its own
my $addresses = 0;
sub from { headers => { 'X-Real-IP' => '10.100.' . int($addresses / 250) . '.' . $addresses++ % 250 } }
sub request_code { $t->post('/api/customer-portal/customer-session/request', json => { email => 'nobody@example.net' }, from()) }
sub closed { $t->get('/closed/page.txt', from()) }

my $rounds = 0;
# works: whether Redis's answers are still of use
sub through {
    my ($mode, $name, $works) = @_;
    subtest $name => sub {
        my $round = ++$rounds;
        my $stop = "$t->{dir}/stop$round";
        my @before = sort $t->workers;
        my @visitors = map { my $number = $_; $t->apart(sub { visitor($number, $round, $stop) }) } 0 .. $#sessions;
        sleep 0.2;
        $proxy->mode($mode);
        my $begun = time;
        sleep 0.3;
        my (@codes, $longest);
        while (@codes < 6 || time - $begun < $seconds) {
            my $asked = time;
            my $response = @codes % 2 ? closed() : request_code();
            $longest = time - $asked if time - $asked > ($longest // 0);
            push @codes, $response->code;
            if ($response->code == 503) {
                like($response->header('Retry-After') // '', qr/^[1-9]\d*$/, 'Retry-After');
                is_answer($response, 503, { detail => 'Service Unavailable' }) if @codes % 2;
            }
        }
        is(scalar(grep { $_ != ($works ? (202, 200)[$_ != 202] : 503) } @codes), 0, $works ? 'all is as ever' : 'what fails closed is closed') or diag "@codes";
        cmp_ok($longest, '<', $patience, sprintf 'and in time: %.0f ms', $longest * 1000);
        $proxy->mode('pass');
        my $healed = time;
        my @last;
        ok($t->wait_for(sub { @last = map { $_->code } request_code(), closed(); "@last" eq '202 200' }, 8, 0.02), 'it serves again') or diag "@last";
        my $back = time - $healed;
        sleep 0.2;
        $t->write_file("stop$round", '');
        my (%sum, @wrong);
        my $slowest = 0;
        for (@visitors) {
            my $told = $_->();
            push @wrong, @{ delete $told->{wrong} };
            $slowest = $told->{slowest} if $told->{slowest} > $slowest;
            $sum{$_} += $told->{$_} for keys %$told;
        }
        is(join("\n", @wrong), '', 'every answer was the one due, with what remained');
        cmp_ok($slowest, '<', $patience, 'none waited much longer than the budget');
        # those on their way when it began, and when it was tried again too early
        cmp_ok($sum{waited} // 0, '<', 3 * @visitors + $sum{count} / 5, 'and few waited at all');
        is_deeply([sort $t->workers], \@before, 'the workers live');
        diag sprintf '%s: %d requests, 0 failed, %d by this node alone, %d waited for the budget, the longest %.0f ms; back after %.0f ms',
            $name, $sum{count}, $sum{degraded} // 0, $sum{waited} // 0, $slowest * 1000, $back * 1000;
    };
}

through('delay 100', 'a delay within the budget', 1);
through('delay 3000', 'a delay beyond it');
through('cut 20', 'cut in the middle of an answer');
through('hold', 'a black hole');
through('reset', 'resets');
through('garbage', 'noise');
through('garbage ' . unpack('H*', "-ERR no\r\n"), 'errors');
if ($ENV{PORTAL_LONG}) {
    through('cut 3', 'cut in the middle of its greeting');
    through('garbage ' . unpack('H*', $_), 'nothing but ' . s/\r\n/ /gr)
        for ":1\r\n", "*0\r\n", "*-1\r\n", "\$-1\r\n", "\$3\r\nfoo\r\n", "*2147483647\r\n", "*1\r\n" x 12, "\$99999999999\r\n";
}

is(waitpid($t->pid('helper'), WNOHANG), 0, 'the helper lives');
my @lines = grep { /redis: / } split /\n/, $t->log_text;
cmp_ok(scalar @lines, '<', 60 * $rounds, 'the log is not flooded: ' . @lines . ' lines');
$t->done;
