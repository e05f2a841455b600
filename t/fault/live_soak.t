# Streams and webhooks while everything in turn dies: no id lost, none twice, none out of order; every webhook with a valid
# signature, and nothing that was rolled back. 20 s with 300 streams and 5 receivers; PORTAL_LONG=1: 60 s, 2,000 and 20.
use strict; use warnings; use utf8;
use Test::More;
use Digest::SHA qw(hmac_sha256_base64);
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(sleep time);
use PortalTest;
use PortalStreams;
use WebhookReceiver;

my ($seconds, $count, $endpoints) = $ENV{PORTAL_LONG} ? (60, 2000, 20) : (20, 300, 5);
my $each = 5;    # streams of a customer
my $limits = join ' ', map { "portal_rate_limit_class $_ 1000000 60s;" } qw(default client-portal);
my $t = PortalTest->new(workers => 2,
    http => "$limits portal_stream_heartbeat 2s; portal_webhook_allow 127.0.0.0/8; portal_webhook_http 127.0.0.1;",
    toml => qq([webhooks]\nallow = ["127.0.0.0/8"]\nhttp_hosts = ["127.0.0.1"]\n));
$t->tolerate(qr/worker process \d+ exited on signal 9/, qr/shared memory zone "\w+" was locked by \d+/);

# ---- who listens: customers to one workspace, contacts and webhooks to the other

my ($busy, $told) = map { $t->workspace } 1 .. 2;
my $token = $t->token($told);
my $streams = PortalStreams->new($t);
my (%of_busy, %of_told, %secret);
my @customers = map { $t->customer($busy) } 1 .. $count / $each - 4;
my @contacts = map { $t->contact($told) } 1 .. 4;
for my $customer (@customers) {
    my $session = $t->session($customer);
    for my $n (1 .. $each) {
        my $name = "$customer->{id}-$n";
        $of_busy{$name} = ["customer:$customer->{id}", "payments:$customer->{id}", 'workspace'];
        $streams->open($name, '/api/customer-portal/customers/stream', token => $session, transport => $n == 1 ? 'h2' : 'http');
    }
}
for my $contact (@contacts) {
    my $portal = json_of($t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => $contact->{id} }));
    for my $n (1 .. $each) {
        my $name = "$contact->{id}-$n";
        $of_told{$name} = ["contact:$contact->{id}", 'workspace'];
        $streams->open($name, '/api/v1/client-portal/me/stream', token => $portal->{token});
    }
}
my @receivers = map { WebhookReceiver->new($t) } 1 .. 2;
for my $n (1 .. $endpoints) {
    my $url = $receivers[$n % 2]->url($n == 1 ? "flip/1/$n" : "ok/$n");
    my $endpoint = json_of($t->post('/api/webhooks/endpoints', token => $token, json => { url => $url, event_types => ['customer.updated'] }));
    $secret{$n} = $endpoint->{secret};
}
my @told_customers = map { $t->customer($told) } 1 .. 10;
ok($streams->all_open(60), "$count streams are open") or diag explain $streams->told, $streams->statuses;

# ---- who writes: two at once, PostgreSQL's restart breaking their transactions

sub writer {
    my ($end, $rate) = @_;
    my ($commits, $rollbacks, $broken) = (0, 0, 0);
    for (my $next = time; time < $end; $next += 1 / $rate) {
        sleep($next - time) if $next > time;
        $next = time if $next < time - 1;
        my $undo = rand() < 0.15;
        my $done = eval {
            my $db = $t->db;
            $db->begin_work;
            for (1 .. 1 + rand 3) {
                my $kind = rand;
                my $name = ($undo ? 'Rolled back' : 'Name') . ' ' . int rand 1e9;
                my $change = sub { $db->do('UPDATE portal.customers SET name = ? WHERE id = ?', undef, $name, $_[0]{id}) };
                my $event = sub { my ($ws, $audience) = @_; $db->do('INSERT INTO portal.events (workspace_id, type, audience, data) VALUES (?, ?, ?::jsonb, ?::jsonb)',
                    undef, $ws->{id}, 'test.event', $audience, qq({"name":"$name"})) };
                if ($kind < 0.6)     { $change->($customers[rand @customers]) }
                elsif ($kind < 0.75) { $event->($busy, sprintf '{"customer":["%s","%s"]}', map { $customers[rand @customers]{id} } 1, 2) }
                elsif ($kind < 0.78) { $event->($busy, '{"workspace":true}') }
                elsif ($kind < 0.8)  { $event->($busy, qq({"payments":"$customers[rand @customers]{id}"})) }
                elsif ($kind < 0.85) { $event->($told, qq({"contact":$contacts[rand @contacts]{id}})) }
                else                 { $change->($told_customers[rand @told_customers]) }
            }
            $undo ? $db->rollback : $db->commit;
            1;
        };
        if (!$done) { $broken++; eval { (delete $t->{db})->disconnect }; sleep 0.05 }
        elsif ($undo) { $rollbacks++ }
        else { $commits++ }
    }
    return ($commits, $rollbacks, $broken);
}
my $end = time + $seconds;
my $rate = $ENV{PORTAL_LONG} ? 40 : 50;
my @writers = map { $t->apart(sub { srand $_; writer($end, $rate) }) } 1, 2;

# ---- what happens meanwhile

my @names = sort keys %of_busy;
my @faults = (
    ['the helper is killed' => sub { $t->restart('helper', 'KILL') }],
    ['Redis is restarted' => sub { $t->restart('redis') }],
    ['a worker is killed' => sub { my @workers = $t->workers; kill 'KILL', $workers[rand @workers] }],
    ['a receiver hangs and readers stall' => sub {
        my $pid = $t->pid($receivers[0]{name});
        kill 'STOP', $pid;
        $streams->stall($names[rand @names], 1 + rand 2) for 1 .. @names / 20;
        sleep 1.5;
        kill 'CONT', $pid;
    }],
    ['nginx is reloaded' => sub { $t->signal('nginx', 'HUP') }],
    ['PostgreSQL is restarted' => sub { $t->restart('postgres') }],
    ['the helper is restarted' => sub { $t->restart('helper') }],
);
my $pause = $ENV{PORTAL_LONG} ? 3 : 1.4;
while (1) {
    for (@faults) {
        my ($name, $do) = @$_;
        last if time + $pause > $end;
        sleep $pause;
        note sprintf '%.1f s left: %s', $end - time, $name;
        $do->();
    }
    last if time + $pause > $end;
}
my ($commits, $rollbacks, $broken) = (0, 0, 0);
for (@writers) {
    my @counts = $_->();
    $commits += $counts[0];
    $rollbacks += $counts[1];
    $broken += $counts[2];
}
my $last = time;

# ---- what came of it

ok($streams->all_open, 'every stream is open') or diag explain $streams->told;
is($streams->unlike_database($busy, \%of_busy), '', "each customer's stream has what the database has, in order");
is($streams->unlike_database($told, \%of_told), '', "each contact's, too");
my $all = $streams->told;
diag sprintf '%d commits, %d rolled back, %d broken; %d events to %d streams, opened %d times; all there %.1f s after the last',
    $commits, $rollbacks, $broken, $all->{events}, $count, $all->{openings}, time - $last;
is("$all->{resets} $all->{byes}", '0 0', 'no reset and no bye');
my $statuses = $streams->statuses;
is_deeply([grep { !/^(?:0|1|502|503)$/ } keys %$statuses], [], 'nobody was refused for good') or diag explain $statuses;
cmp_ok($all->{openings}, '>', $count, 'streams were opened again');
cmp_ok($commits, '>', $seconds * $rate / 2, 'there was load');
cmp_ok($rollbacks, '>', 10, 'some of it rolled back');
$streams->close;

subtest 'webhooks' => sub {
    ok($t->wait_for(sub {
        $t->db->do(q(UPDATE portal.webhook_deliveries SET next_attempt_at = now() WHERE state = 'pending' AND lease_owner IS NULL AND next_attempt_at > now() + interval '2 s'));
        !$t->value(q(SELECT count(*) FROM portal.webhook_deliveries WHERE state = 'pending')) }, 60, 0.5), 'none is left to deliver');
    my %event = map { ("evt_$_" => 1) } @{ $t->db->selectcol_arrayref(
        q(SELECT id FROM portal.events WHERE workspace_id = ? AND type = 'customer.updated'), undef, $told->{id}) };
    cmp_ok(scalar keys %event, '>', 20, 'there were some: ' . keys %event);
    my (%seen, @wrong, @undone);
    for my $request (map { $_->requests } @receivers) {
        my ($n) = $request->{path} =~ m{(\d+)$};
        my ($id, $at, $signature) = @{ $request->{headers} }{qw(webhook-id webhook-timestamp webhook-signature)};
        my $own = hmac_sha256_base64("$id.$at.$request->{body}", decode_base64($secret{$n} =~ s/^whsec_//r));
        push @wrong, $id if $signature ne "v1,$own=";
        push @undone, $id if $request->{body} =~ /Rolled back/ || !$event{$id};
        $seen{$n}{$id}++;
    }
    is("@wrong", '', 'every signature is right');
    is("@undone", '', 'nothing that was rolled back was told');
    for my $n (1 .. $endpoints) {
        is(scalar(grep { !$seen{$n}{$_} } keys %event), 0, "receiver $n has every event");
    }
};

$t->done;
