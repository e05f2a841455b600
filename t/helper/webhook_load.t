# Many webhooks at once: a fast receiver gets its own while two others hang, on connections that are kept.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WebhookReceiver;
use Time::HiRes qw(time sleep);

my $t = PortalTest->new(http => 'portal_webhook_allow 127.0.0.0/8; portal_webhook_http 127.0.0.1;',
    toml => qq([webhooks]\nallow = ["127.0.0.0/8"]\nhttp_hosts = ["127.0.0.1"]\n));
my ($fast, $dead) = map { WebhookReceiver->new($t) } 1 .. 2;
my $ws = $t->workspace;
my $token = $t->token($ws);
my %id;
for (['fast', $fast->url('ok')], ['first', $dead->url('hang/1')], ['second', $dead->url('hang/2')]) {
    my $response = $t->post('/api/webhooks/endpoints', token => $token, json => { url => $_->[1] });
    is_status($response, 201, $_->[0]);
    $id{ $_->[0] } = json_of($response)->{id};
}
sub announce { my ($count) = @_; $t->db->do(q(INSERT INTO portal.events (workspace_id, type, data)
    SELECT ?, 'customer.created', jsonb_build_object('id', gen_random_uuid(), 'n', n) FROM generate_series(1, ?::int) n), undef, $ws->{id}, $count) }
sub delivered { my ($name) = @_; $t->value(q(SELECT count(*) FROM portal.webhook_deliveries WHERE endpoint_id = ? AND state = 'succeeded'), $id{$name}) }

# the dead ones hold on to what they are given before the others' turn comes
announce(20);
ok($t->wait_for(sub { delivered('fast') == 20 }), 'the first few');
is(scalar(() = $dead->await(qr{^/hang/1}, 4)), 4, 'one dead endpoint has a few attempts at a time');
is(scalar(() = $dead->await(qr{^/hang/2}, 4)), 4, 'and so has the other');

my $count = 2000;
my $begun = time;
announce($count);
ok($t->wait_for(sub { delivered('fast') == $count + 20 }, 40, 0.05), "$count more to the living one") or diag delivered('fast');
my $took = time - $begun;
diag sprintf '%.0f deliveries a second beside two endpoints that hang', $count / $took;
# whoever waits for a hanging endpoint gets 12 in the 30 s it hangs
cmp_ok($count / $took, '>=', 50, 'not at the pace of those that hang');

my @requests = $fast->requests;
is(scalar @requests, $count + 20, 'each was sent once');
is(scalar(keys %{ { map { $_->{headers}{'webhook-id'} => 1 } @requests } }), $count + 20, 'each another');
my $connections = keys %{ { map { $_->{connection} => 1 } @requests } };
cmp_ok($connections, '<=', 100, "on $connections connections");
is(scalar(() = $dead->requests), 8, 'the dead ones were left with what they had');
is($t->value(q(SELECT count(*) FROM portal.webhook_attempts a JOIN portal.webhook_deliveries d ON d.id = a.delivery_id WHERE d.endpoint_id = ?), $id{fast}),
    $count + 20, 'and each is logged');

# an attempt ends after 15 s, whatever the receiver does
ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.webhook_attempts a JOIN portal.webhook_deliveries d ON d.id = a.delivery_id
    WHERE d.endpoint_id <> ?), $id{fast}) >= 8 }, 20, 0.1), 'attempts at the dead ones time out');
my $attempt = $t->row('SELECT a.* FROM portal.webhook_attempts a WHERE status IS NULL LIMIT 1');
cmp_ok($attempt->{duration_ms}, '>=', 14900) && cmp_ok($attempt->{duration_ms}, '<', 17000, 'after 15 s');
like($attempt->{error}, qr/[Tt]imeout/, 'says why');
sleep 1;
my @more = $dead->requests;
cmp_ok(scalar @more, '<=', 10, 'and then they get one at a time');

$t->done;
