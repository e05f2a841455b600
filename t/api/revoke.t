# DELETE of sessions: at once, everywhere.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(location => <<'NGINX');
        location /private/ {
            portal_workspace any;
            portal_auth customer member;
            alias %%DIR%%/html/;
        }
NGINX
$t->write_file('html/page.txt', "private\n");
my $ws = $t->workspace;
my $token = $t->token($ws, 'customer_sessions:write');
my $customer = $t->customer($ws);
my $other_token = $t->token($t->workspace, 'customer_sessions:write');
my $path = '/api/customer-sessions/';

sub session { json_of($t->post($path, token => $token, json => { customer_id => ($_[0] // $customer)->{id} })) }
# from ever new addresses: what is revoked is an unknown bearer, and those are limited by address
my $address = 0;
sub from { (headers => { 'X-Real-IP' => sprintf '10.0.%d.%d', ++$address / 250, $address % 250 }) }
sub works { $t->get('/private/page.txt', token => $_[0]{token}, from())->code == 200 }
sub works_nowhere {
    my ($session) = @_;
    my @codes = map { $_->code } $t->at_once(map { $t->bytes(GET => '/private/page.txt', token => $session->{token}, from()) } 1 .. 12);
    return !grep { $_ != 401 } @codes;
}

subtest 'a session is revoked by its id' => sub {
    my ($one, $two) = map { session() } 1 .. 2;
    ok(works($one) && works($two), 'both work');
    my $response = $t->delete("$path$one->{id}", token => $token);
    is_answer($response, 204, '');
    my $since = time;
    ok($t->wait_for(sub { works_nowhere($one) }, 1), 'refused on every worker');
    cmp_ok(time - $since, '<', 1.1, 'within a second');
    ok(works($two), 'the other still works');
    is_status($t->delete("$path$one->{id}", token => $token), 404, 'a second time: 404');
};

subtest 'plain SQL revokes as fast' => sub {
    my $session = session();
    ok(works($session), 'works');
    $t->db->do('UPDATE portal.customer_sessions SET revoked_at = now() WHERE id = ?', undef, $session->{id});
    my $since = time;
    ok($t->wait_for(sub { works_nowhere($session) }, 1.2), 'refused on every worker');
    cmp_ok(time - $since, '<', 1.2, 'within a second');
};

subtest 'ids' => sub {
    my $session = session();
    is_answer($t->delete("${path}8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001", token => $token), 404,
        '{"error":"ResourceNotFound","detail":"Not found"}', 'unknown');
    is_answer($t->delete("$path$session->{id}", token => $other_token), 404,
        '{"error":"ResourceNotFound","detail":"Not found"}', 'of another workspace');
    ok(works($session), 'and it lives');
    my $bad = $t->delete("${path}nonsense", token => $token);
    is_status($bad, 422);
    is_deeply(json_of($bad)->{detail}[0]{loc}, ['path', 'id'], 'loc');
    is(json_of($bad)->{detail}[0]{type}, 'uuid_parsing', 'type');
    is_status($t->delete("$path$session->{id}/", token => $token), 204, 'with a slash');
};

subtest 'all of a customer' => sub {
    my $busy = $t->customer($ws);
    my @sessions = map { session($busy) } 1 .. 3;
    my $bystander = session();
    is_answer($t->delete("$path?customer_id=$busy->{id}", token => $token), 200, '{"revoked":3}');
    ok($t->wait_for(sub { works_nowhere($sessions[0]) && works_nowhere($sessions[2]) }, 1.2), 'all ended');
    ok(works($bystander), 'others live');
    is_answer($t->delete("$path?customer_id=$busy->{id}", token => $token), 200, '{"revoked":0}', 'again');
    is_answer($t->delete("$path?customer_id=$customer->{id}", token => $other_token), 200, '{"revoked":0}', 'foreign');
    ok(works($bystander), 'foreign ones live');
    my $none = $t->delete($path, token => $token);
    is_status($none, 422);
    is_deeply(json_of($none)->{detail}[0]{loc}, ['query', 'customer_id'], 'customer_id is required');
    is_status($t->delete("$path?customer_id=x", token => $token), 422, 'no uuid');
};

subtest 'member sessions end by the same route' => sub {
    my $club = $t->workspace(member_model => 1);
    my $club_token = $t->token($club, 'customer_sessions:write');
    my $one = $t->customer($club);
    my $session = json_of($t->post($path, token => $club_token, json => { customer_id => $one->{id} }));
    ok(works($session), 'works');
    is_status($t->delete("$path$session->{id}", token => $club_token), 204);
    ok($t->wait_for(sub { works_nowhere($session) }, 1), 'ended');
    my $another = json_of($t->post($path, token => $club_token, json => { customer_id => $one->{id} }));
    is_answer($t->delete("$path?customer_id=$one->{id}", token => $club_token), 200, '{"revoked":1}');
    ok($t->wait_for(sub { works_nowhere($another) }, 1), 'ended');
};

subtest 'blocking and deleting end sessions too' => sub {
    for my $change ('UPDATE portal.customers SET blocked_at = now() WHERE id = ?',
        'UPDATE portal.customers SET deleted_at = now() WHERE id = ?') {
        my $victim = $t->customer($ws);
        my $session = session($victim);
        ok(works($session), 'works');
        $t->db->do($change, undef, $victim->{id});
        ok($t->wait_for(sub { works_nowhere($session) }, 1.2), $change);
    }
};

subtest 'without the helper revocation still holds within a second' => sub {
    my $session = session();
    ok(works($session), 'works');
    $t->stop('helper', 'KILL');
    $t->db->do('UPDATE portal.customer_sessions SET revoked_at = now() WHERE id = ?', undef, $session->{id});
    ok($t->wait_for(sub { works_nowhere($session) }, 2), 'refused');
};

$t->done;
