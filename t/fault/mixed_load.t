# 200 parallel clients mixing all routes for thirty seconds, with a reload and a restart of Redis in the middle: no 500, no
# lost invitation.
# Runs alone: it takes all of the machine.
use strict; use warnings; use utf8;
use Test::More;
use IO::Select;
use List::Util qw(sum0);
use Time::HiRes qw(sleep time);
use PortalTest;

my $seconds = 30;
my ($processes, $each) = (4, 50);
my $t = PortalTest->new(workers => 2, http => 'keepalive_requests 1000000; portal_rate_limit_class client-portal 1000000 60s; '
    . 'portal_rate_limit_class default 1000000 60s; portal_rate_limit_class mail 100000 3600s; portal_invite_wait 5s;', toml_mail => "parallel = 32\n",
    location => 'location /site/ { portal_workspace any; portal_auth any; portal_rate_limit 1000000 60s name=site; portal_rate_limit 90 60s key=address name=near; alias %%DIR%%/html/; }');
$t->write_file('html/page.txt', "the page\n");

my ($acme, $club) = ($t->workspace, $t->workspace(member_model => 1));
my ($token, $club_token, $reader) = ($t->token($acme), $t->token($club), $t->token($acme, 'payments:read'));
my @customers = map { $t->customer($acme) } 1 .. 5;
my $member = $t->member($t->customer($club));
my @contacts = map { $t->contact($acme) } 1 .. 40;
my @companies = map { $t->company($acme) } 1 .. 10;
# whose links are revoked all the while: others than those invited, since a link revoked before it is mailed is not mailed
my @revoked = map { $t->company($acme) } 1 .. 5;
my $mute = $t->contact($acme, email => undef);
my $session = json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customers[0]{id} }))->{token};
my $c = '/api/v1/client-portal';
# ended one by one; each process tries each, and one of them comes first
my @ended = map { json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customers[1]{id} }))->{id} } 1 .. 100;
my $signed_out = $t->customer($acme);
$t->post("$c/contacts/$contacts[0]{id}/invite", token => $token, json => {});
my $invitation = $t->value('SELECT id FROM portal.outbox LIMIT 1');
my $keyed = $t->customer($acme);

# [weight, method, path or a sub giving (path, body), token, the statuses that are right, headers]; 503 where it may fail
# closed
my @routes = (
    [20, GET => "$c/config", $token, [200]],
    [20, GET => '/site/page.txt', $session, [200]],
    [8, POST => sub { '/api/customer-sessions/', { customer_id => $customers[rand @customers]{id} } }, $token, [201]],
    [3, POST => sub { '/api/customer-sessions/', { customer_id => 'x', return_url => 'nonsense' } }, $token, [422]],
    [4, POST => sub { '/api/member-sessions/', { member_id => $member->{id} } }, $club_token, [201]],
    [3, PATCH => sub { "$c/config", { welcome_message => 'Hello ' . int rand 1000 } }, $token, [200]],
    [5, POST => sub { "$c/token", { type => 'contact', id => 0 + $contacts[rand @contacts]{id} } }, $token, [200]],
    [2, DELETE => sub { "$c/token", { type => 'company', id => 0 + $revoked[rand @revoked]{id} } }, $token, [204]],
    [2, POST => sub { "$c/token", { type => 'company', id => 0 + $revoked[rand @revoked]{id}, rotate => true } }, $token, [200]],
    [4, POST => sub { "$c/contacts/$contacts[rand @contacts]{id}/invite", { custom_message => 'Mix' } }, $token, [200, 202, 503]],
    [2, POST => sub { "$c/companies/$companies[rand @companies]{id}/invite", {} }, $token, [200, 202, 503]],
    [1, POST => sub { "$c/contacts/$mute->{id}/invite", {} }, $token, [400]],
    [1, POST => sub { "$c/contacts/99999999/invite", {} }, $token, [404]],
    [2, GET => "$c/config", undef, [401]],
    [2, GET => "$c/config", 'portal_oat_nonsense', [401]],
    [2, GET => "$c/config", $reader, [403]],
    [2, PUT => "$c/config", $token, [405]],
    [2, GET => '/api/none', $token, [404]],
    [2, OPTIONS => "$c/config", undef, [204]],
    [2, DELETE => '/api/customer-sessions/7c1d3c9e-0b9e-4a53-9d2b-0f4e5a1b2c3d', $token, [404]],
    [2, DELETE => sub { "/api/customer-sessions/$ended[rand @ended]" }, $token, [204, 404]],
    [2, POST => sub { '/api/customer-sessions/', { customer_id => $signed_out->{id} } }, $token, [201]],
    [1, DELETE => "/api/customer-sessions/?customer_id=$signed_out->{id}", $token, [200]],
    [2, GET => "$c/invitations/$invitation", $token, [200]],
    [4, POST => sub { '/api/customer-sessions/', { customer_id => $keyed->{id} } }, $token, [201], { 'Idempotency-Key' => 'mixed' }],
);
my @wheel = map { my $route = $_; ($route) x $route->[0] } @routes;

# fifty clients in one process, each with one request on its way
my $addresses = 0;
sub clients {
    my ($number, $end) = @_;
    my (%client, %result, @wrong);
    my $select = IO::Select->new;
    my $begin = sub {
        my $route = $wheel[rand @wheel];
        my (undef, $method, $what, $bearer, $right, $headers) = @$route;
        my ($path, $json) = ref $what ? $what->() : ($what);
        my $from = sprintf '10.%d.%d.%d', 50 + $number, $addresses / 250 % 250, ++$addresses % 250;
        my $socket = $t->connect;
        $socket->blocking(0);
        print $socket $t->bytes($method => $path, token => $bearer, $json ? (json => $json) : (), headers => { 'X-Real-IP' => $from, %{ $headers // {} } });
        $client{$socket} = { right => $right, name => "$method $path", data => '', began => time };
        $select->add($socket);
    };
    $begin->() for 1 .. $each;
    while ($select->count) {
        for my $socket ($select->can_read(1)) {
            my $client = $client{$socket};
            next if sysread $socket, $client->{data}, 65536, length $client->{data};
            $select->remove($socket);
            delete $client{$socket};
            close $socket;
            my ($status) = $client->{data} =~ /^HTTP\/1\.1 (\d+)/;
            $status //= 0;
            $result{$status}++;
            push @wrong, "$client->{name}: " . substr $client->{data}, 0, 600 unless grep { $_ == $status } @{ $client->{right} };
            $result{slowest} = time - $client->{began} if time - $client->{began} > ($result{slowest} // 0);
            # what was promised: the addressee's link
            push @{ $result{invited} }, $1 if $client->{name} =~ /invite$/ && $status =~ /^20/ && $client->{data} =~ /"token":"(\w[\w-]+)"/;
            $begin->() if time < $end;
        }
        if (my @late = grep { time - $_->{began} > 15 } values %client) {
            push @wrong, map { "$_->{name}: no answer in 15 s" } @late;
            last;
        }
    }
    return { %result, wrong => [@wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]] };
}

my $end = time + $seconds;
my @running = map { my $number = $_; $t->apart(sub { clients($number, $end) }) } 1 .. $processes;
sleep $seconds * 0.3;
$t->signal('nginx', 'HUP');
sleep $seconds * 0.25;
$t->restart('redis');
my (%status, @wrong, @invited, $slowest);
for (@running) {
    my $told = $_->();
    push @wrong, @{ delete $told->{wrong} };
    push @invited, @{ delete $told->{invited} // [] };
    my $slow = delete $told->{slowest};
    $slowest = $slow if !$slowest || $slow > $slowest;
    $status{$_} += $told->{$_} for keys %$told;
}
my $count = sum0(values %status);
diag "$count requests: ", join(', ', map { "$status{$_} × $_" } sort keys %status), sprintf ', the slowest %.1f s; %d invitations', $slowest, scalar @invited;
is(join("\n", @wrong), '', 'every answer was right');
is($status{500} // 0, 0, 'no 500');
cmp_ok($count, '>', $seconds * 20, 'there was load');
cmp_ok(scalar @invited, '>', 5, 'with invitations');
cmp_ok($status{200}, '>', $status{503} // 0, 'most were served');
is($t->value('SELECT count(*) FROM portal.customer_sessions WHERE customer_id = ?', $keyed->{id}), 1, 'one key, one session');
cmp_ok($t->value('SELECT count(*) FROM portal.customer_sessions WHERE customer_id = ? AND revoked_at IS NOT NULL', $customers[1]{id}), '>', 50, 'sessions were ended');

subtest 'no invitation is lost' => sub {
    # those that were put off are due at once
    ok($t->wait_for(sub {
        $t->db->do(q(UPDATE portal.outbox SET next_attempt_at = now() WHERE state = 'queued' AND lease_owner IS NULL));
        !$t->value(q(SELECT count(*) FROM portal.outbox WHERE state = 'queued')) }, 30, 0.2), 'none is left in the outbox');
    is($t->value(q(SELECT count(*) FROM portal.outbox WHERE state <> 'sent')), 0, 'none has failed');
    my %mailed;
    for my $mail ($t->mails(0, 0.1)) {
        $mailed{$1}++ for $mail->{text} =~ m{/client-portal/(portal_cpt_[\w-]+)};
    }
    my @lost = grep { !$mailed{$_} } @invited;
    is(scalar @lost, 0, 'each link that was promised is in a mailbox: ' . @invited);
    is(scalar(grep { $_ > 1 } values %mailed), 0, 'and none twice');
    is(scalar keys %mailed, $t->value('SELECT count(*) FROM portal.outbox'), 'as many mails as invitations stored');
};

subtest 'all is well afterwards' => sub {
    is(scalar(() = $t->workers), 2, 'two workers');
    is_status($t->get("$c/config", token => $token), 200, 'configuration');
    my $fresh = $t->contact($acme);
    ok($t->wait_for(sub { $t->post("$c/contacts/$fresh->{id}/invite", token => $token)->code == 200 }, 8, 0.3), 'an invitation');
};

$t->done;
