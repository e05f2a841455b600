# Two nodes, and what dies beside their streams: each reader is given every event once, in order, and soon.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;
use PortalStreams;

my $t = PortalTest->new(workers => 2, http => 'portal_stream_heartbeat 2s; portal_rate_limit_class default 1000000 60s;');
$t->tolerate(qr/worker process \d+ exited on signal 9/, qr/shared memory zone "\w+" was locked by \d+/);
my $dir = $t->dir;

# a second nginx with a helper of its own, to the same PostgreSQL and Redis
my ($port, $h2_port) = map { $t->free_port } 1 .. 2;
sub second_helper {
    $t->spawn('helper2', [], PortalTest::build() . '/portal-helper', '--config', "$dir/second.toml");
    $t->wait_for(sub { -S "$dir/second.sock" }) or die 'no second helper';
}
$t->write_file('second.toml', PortalTest::slurp("$dir/portal.toml") =~ s/helper\.sock/second.sock/r);
second_helper();
my %second = ($t->port => $port, $t->h2_port => $h2_port);
$t->write_file('second.conf', $t->nginx_conf =~ s/127\.0\.0\.1:(\d+)/"127.0.0.1:" . ($second{$1} \/\/ $1)/ger
    =~ s/helper\.sock/second.sock/r =~ s/nginx\.pid/second.pid/r);
$t->spawn('node2', [], 'nginx', '-p', "$dir/", '-e', "$dir/error.log", '-c', "$dir/second.conf");
$t->wait_for(sub { PortalTest->connects($port) }) or die 'no second nginx';

my $ws = $t->workspace;
my @customers = map { $t->customer($ws) } 1 .. 10;
my $streams = PortalStreams->new($t);
my %audiences;
for my $customer (@customers) {
    my $token = $t->session($customer);
    my %at = (one => {}, two => { port => $port }, one_h2 => { transport => 'h2' }, two_h2 => { transport => 'h2', port => $h2_port });
    for my $where (sort keys %at) {
        my $name = "$customer->{id}-$where";
        $audiences{$name} = ["customer:$customer->{id}", 'workspace'];
        $streams->open($name, '/api/customer-portal/customers/stream', token => $token, %{ $at{$where} });
    }
}
ok($streams->all_open, 'streams on both nodes') or diag explain $streams->told, $streams->statuses;

# Commits for as many seconds, some of them in a transaction that is open for a while.
sub writing {
    my ($seconds) = @_;
    return $t->apart(sub {
        my ($end, $count) = (time + $seconds, 0);
        while (time < $end) {
            $t->db->begin_work;
            $t->db->do('UPDATE portal.customers SET name = ? WHERE id = ?', undef, 'Name ' . ++$count, $customers[rand @customers]{id});
            sleep 0.02 if $count % 10 == 0;
            $t->db->commit;
            $t->db->do(q(INSERT INTO portal.events (workspace_id, type, audience, data) VALUES (?, 'test.event', '{"workspace":true}', '{}')), undef, $ws->{id})
                if $count % 20 == 0;
            sleep 0.005;
        }
        return $count;
    });
}
sub through {
    my ($name, $seconds, $do) = @_;
    subtest $name => sub {
        my $wait = writing($seconds);
        sleep 0.3;
        $do->();
        cmp_ok($wait->(), '>', 10, 'commits went on');
        my $begun = time;
        is($streams->unlike_database($ws, \%audiences), '', 'each reader has what the database has');
        cmp_ok(time - $begun, '<', PortalTest::asan() ? 20 : 8, 'soon') or diag time - $begun;
        ok($streams->all_open, 'every stream is open');
    };
}

through('nothing dies', 0.6, sub { });
through('the helper of one node is killed', 1.2, sub { $t->restart('helper', 'KILL') });
through('the helper of the other is restarted', 1.2, sub { $t->stop('helper2'); sleep 0.2; second_helper() });
through('both are killed at once', 1.2, sub {
    $t->stop($_, 'KILL') for qw(helper helper2);
    unlink "$dir/$_.sock" for qw(helper second);
    $t->start('helper');
    second_helper();
});
through('Redis is restarted', 1.2, sub { $t->restart('redis', 'KILL') });
through('Redis is away for a while', 2.5, sub { $t->stop('redis'); sleep 1.5; $t->start('redis') });
through('a worker is killed', 1.2, sub { my @workers = $t->workers; kill 'KILL', $workers[0] });
through('every worker is killed', 1.2, sub { kill 'KILL', $t->workers });
through('a helper is stopped and goes on', 1.8, sub { $t->signal('helper', 'STOP'); sleep 1.2; $t->signal('helper', 'CONT') });
through('nginx is reloaded, twice', 1.8, sub { for (1 .. 2) { $t->signal('nginx', 'HUP'); sleep 0.5 } });
through('some read nothing for a while', 1.5, sub { $streams->stall($_, 1) for grep { /one/ } keys %audiences });

my $told = $streams->told;
is("$told->{resets} $told->{byes}", '0 0', 'no reset and no bye');
is_deeply([grep { !/^(?:0|1|502|503)$/ } keys %{ $streams->statuses }], [], 'nobody was refused for good') or diag explain $streams->statuses;
$streams->close;
$t->stop($_) for qw(node2 helper2);
$t->done;
