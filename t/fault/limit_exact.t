# N per window is literal: over workers, over nodes that share a Redis, in any interleaving, wherever a window begins.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 2, server => 'keepalive_requests 1000000; add_header X-Worker $pid always;');
my $config = '/api/v1/client-portal/config';
my $ws = $t->workspace;

# a second node: another master and another zone, the same PostgreSQL, Redis and secret
my $node2 = $t->free_port;
sub second_node {
    my $conf = $t->nginx_conf;
    my $h2 = $t->free_port;
    $conf =~ s/listen 127\.0\.0\.1:@{[$t->port]} /listen 127.0.0.1:$node2 /;
    $conf =~ s/127\.0\.0\.1:@{[$t->h2_port]} http2;/127.0.0.1:$h2 http2;/;
    $conf =~ s/nginx\.pid/node2.pid/;
    $conf =~ s{error_log \S+}{error_log $t->{dir}/node2.error.log};
    $t->write_file('node2.conf', $conf);
    $t->spawn('node2', [], 'nginx', '-p', "$t->{dir}/", '-e', "$t->{dir}/node2.error.log", '-c', "$t->{dir}/node2.conf");
    $t->wait_for(sub { $t->connects($node2) }, 10) or die 'the second node does not start';
}

# `clients` processes share the requests out; each keeps its connections, to the ports given in turn
sub calls {
    my ($token, $total, $clients, @ports) = @_;
    my $bytes = "GET $config HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n";
    my $go = time + 0.3;
    my @running = map {
        my $client = $_;
        my $mine = int($total / $clients) + ($client < $total % $clients ? 1 : 0);
        $t->apart(sub {
            my @sockets = map { $t->connect($_) } map { ($_) x 2 } @ports;
            sleep $go - time if $go > time;
            map { my $answer = $t->ask($sockets[($_ + $client) % @sockets], $bytes); $answer ? $answer->{status} : 0 } 1 .. $mine;
        });
    } 0 .. $clients - 1;
    return map { $_->() } @running;
}
sub count { my ($status, @all) = @_; scalar grep { $_ == $status } @all }

subtest '61 calls: 60 × 200 and one 429, in any interleaving' => sub {
    for my $clients (1, 2, 3, 5, 8) {
        my $token = $t->token($ws, 'client_portal:read');
        my @status = calls($token, 61, $clients, $t->port);
        is(count(200, @status), 60, "$clients clients: sixty");
        is(count(429, @status), 1, "$clients clients: one refused");
    }
    my $token = $t->token($ws, 'client_portal:read');
    my @status = calls($token, 200, 8, $t->port);
    is(count(200, @status), 60, 'of 200: sixty');
    is(count(429, @status), 140, 'and 140 refused');
};

second_node();
subtest 'two nodes share a Redis' => sub {
    for my $clients (1, 4) {
        my $token = $t->token($ws, 'client_portal:read');
        my @status = calls($token, 61, $clients, $t->port, $node2);
        is(count(200, @status), 60, "$clients clients: sixty");
        is(count(429, @status), 1, "$clients clients: one refused");
    }
};

# what a client saw of an admission: it happened between asking and being answered. However the admissions lie within
# those, a window that must have held all of them shows that there were too many.
sub worst_window {
    my ($window, @admitted) = @_;
    my $worst = 0;
    for my $first (@admitted) {
        # all that were asked after this one was, and answered less than a window later
        my $inside = grep { $_->[0] >= $first->[0] && $_->[1] < $first->[0] + $window } @admitted;
        $worst = $inside if $inside > $worst;
    }
    return $worst;
}
# hammers for some seconds from several processes
sub hammer {
    my ($token, $seconds, $clients, @ports) = @_;
    my $bytes = "GET $config HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n";
    my $end = time + $seconds;
    my @running = map {
        my $client = $_;
        $t->apart(sub {
            my @sockets = map { $t->connect($_) } @ports;
            my ($n, @seen, %other) = ($client);
            while (time < $end) {
                my $asked = time;
                my $at = $n++ % @sockets;
                # a worker that goes away in a reload closes the connections that are idle
                my $answer = $t->ask($sockets[$at], $bytes);
                ($asked, $answer) = (time, $t->ask($sockets[$at] = $t->connect($ports[$at]), $bytes)) unless $answer;
                $answer or die 'no answer';
                if ($answer->{status} == 200) { push @seen, [$asked, time] } else { $other{ $answer->{status} }++ }
                sleep 0.002 + rand 0.01;
            }
            return { seen => \@seen, other => \%other };
        });
    } 1 .. $clients;
    my (@seen, %other);
    for (@running) {
        my $told = $_->();
        push @seen, @{ $told->{seen} };
        $other{$_} += $told->{other}{$_} for keys %{ $told->{other} };
    }
    return (\@seen, \%other);
}

my ($quota, $window) = (20, 2);
$t->{option}{http} = "portal_rate_limit_class client-portal $quota ${window}s;";
$t->reload;
$t->stop('node2', 'TERM');
second_node();
for (['two workers', 5, $t->port], ['two nodes', 5, $t->port, $node2]) {
    my ($name, $seconds, @ports) = @$_;
    subtest "no window of $window s holds more than $quota: $name" => sub {
        my $token = $t->token($ws, 'client_portal:read');
        my ($seen, $other) = hammer($token, $seconds, 6, @ports);
        is_deeply([keys %$other], ['429'], 'the others are 429') or diag explain $other;
        my $worst = worst_window($window, @$seen);
        cmp_ok($worst, '<=', $quota, "worst window: $worst");
        # a hammering client gets its due: 20 at once and 20 more whenever two seconds are over
        my $windows = int($seconds / $window) + 1;
        cmp_ok(scalar @$seen, '<=', $quota * $windows, @$seen . ' admitted');
        cmp_ok(scalar @$seen, '>=', $quota * ($windows - 1), 'and not fewer than are due');
        cmp_ok($worst, '>', $quota / 2, 'the measure measures');
    };
}

# the check itself finds what it is there for
is(worst_window(2, map { [$_ * 0.01, $_ * 0.01 + 0.005] } 1 .. 30), 30, 'thirty in a window would be seen');
is(worst_window(2, map { [$_ * 1.1, $_ * 1.1 + 0.005] } 1 .. 30), 2, 'and two are two');

subtest 'through a restart of Redis and a reload' => sub {
    my $token = $t->token($ws, 'client_portal:read');
    my $hammer = $t->apart(sub { hammer($token, 4.5, 4, $t->port) });
    sleep 1.3;
    $t->restart('redis', 'KILL');
    sleep 0.6;
    $t->reload;
    sleep 0.6;
    $t->signal('redis', 'STOP');
    sleep 0.7;
    $t->signal('redis', 'CONT');
    my ($seen, $other) = $hammer->();
    is_deeply([keys %$other], ['429'], 'the others are 429') or diag explain $other;
    my $worst = worst_window($window, @$seen);
    cmp_ok($worst, '<=', $quota, "worst window: $worst, of " . @$seen);
    cmp_ok(scalar @$seen, '>=', $quota * 2, 'and it went on');
};

$t->stop('node2', 'TERM');
like($t->log_text('node2.error.log'), qr/redis: connected/, 'the second node had Redis');
unlike($t->log_text('node2.error.log'), qr/\[(?:alert|emerg)\]/, 'and no alert');
$t->done;
