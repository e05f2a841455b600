#!/usr/bin/perl
# Measures the settings of t/bench/run. Subject and comparison run in turn, a round being one of each; what is told is
# the median over rounds, of a ratio the median of the rounds' ratios. The settings:
#
#   a leases    GET config beside `return 200`: 10,000 tokens, their limit far away, so that most answers are leased
#   b checks    GET config beside `return 200`: 200,000 tokens at 60 a minute, each well below, every one a check
#   c refused   GET config beside `return 200`: tokens already denied
#   d sessions  POST customer-sessions beside pgbench running the same statement
#   e auth      a static file with portal_auth beside the same file without
#
# Bars are printed beside what they are for. Exit status 1 means that something is broken, not that a bar was missed.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use Getopt::Long;
use List::Util qw(first sum0);
use MIME::Base64 qw(decode_base64 encode_base64url);
use PortalTest;

use constant {
    CONNECTIONS => 64,
    WORKSPACES  => 50,
    CUSTOMERS   => 1000,
};
my %TOKENS = (leases => 10_000, checks => 200_000, refused => 500, sessions => 200, auth => 10_000);
# of the zone, as README's sizing has it
my %SIZE = (leases => '32m', checks => '256m', refused => '32m', sessions => '32m', auth => '32m');
my @SETTINGS = qw(leases checks refused sessions auth);
my $CONFIG = '/api/v1/client-portal/config';

my ($quick, $keep, $sleepy);
GetOptions(quick => \$quick, keep => \$keep, sleepy => \$sleepy) or exit 2;
my %letter = map { ('a' .. 'e')[$_] => $SETTINGS[$_] } 0 .. $#SETTINGS;
my @chosen = map { $letter{$_} // $_ } @ARGV;
for my $name (@chosen) {
    next if exists $TOKENS{$name};
    print STDERR "t/bench/run: no setting '$name' (@SETTINGS)\n";
    exit 2;
}
@chosen = @SETTINGS unless @chosen;
$TOKENS{checks} = 100_000 if $quick;

my $rounds  = $quick ? 3 : 9;    # many short ones: the machine itself is faster now and slower then
my $seconds = $quick ? 1 : 2;
my ($core, $other) = split ' ', $ENV{PORTAL_BENCH_CORES} // die "start this by t/bench/run\n";
my %measure = (leases => \&leases, checks => \&checks, refused => \&refused, sessions => \&sessions, auth => \&auth);
my %offset;      # where in its tokens a setting's next run goes on
my (@bars, @broken);

$| = 1;
my $began = time;
my $t = servers();
$measure{$_}->() for @chosen;
report();
exit(@broken ? 1 : 0);

# ---- servers and data

sub servers {
    my $t = PortalTest->new(workers => 1, nginx => 0, helper => 0, unsearched => 'it is measured',
        http => settings($chosen[0], 60, '60s'),
        conf => <<'CONF');
daemon off;
user root;
worker_processes %%WORKERS%%;
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/error.log warn;
load_module %%BUILD%%/ngx_portal_module.so;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path %%DIR%%/tmp/body;
    root %%DIR%%/html;

    portal_cache 1h;
    portal_postgres "%%POSTGRES%%" lookup=2;
    %%REDIS%%
    portal_helper unix:%%DIR%%/helper.sock;
    portal_secret_file %%DIR%%/secret;
    portal_base_url %%URL%%;
    portal_rate_limit_class default 10000000 60s;
    %%HTTP%%

    server {
        listen 127.0.0.1:%%PORT%%;
        location /api/ { portal_api; }
        location = /api/v1/client-portal/return { return 200; }
        location = /metrics { portal_metrics; }
        location /open/ { alias %%DIR%%/html/; }
        location /guarded/ { portal_auth workspace; portal_workspace any; alias %%DIR%%/html/; }
    }
}
CONF
    # pg_stat_activity shall show statements whole, and the tokens fit into memory
    $t->db->do("ALTER SYSTEM SET $_") for q(track_activity_query_size = '32kB'), q(shared_buffers = '256MB');
    $t->restart('postgres');
    make_data($t);
    system('gcc', '-shared', '-fPIC', '-O2', '-o', "$t->{dir}/awake.so", 't/bench/awake.c') == 0 or die "gcc failed\n";
    $t->write_file('html/file.html', '<!doctype html>' . 'x' x 1000 . "\n");
    $t->start('helper');
    $t->start('nginx');
    pin($core, $t->pid('redis'), $t->pid('nginx'), $t->workers);
    return $t;
}

# On which cores processes run from now on; one that has just ended is none.
sub pin {
    my ($cores, @pids) = @_;
    system("taskset -apc $cores $_ >/dev/null 2>&1") == 0 || !kill 0, $_ or die "taskset failed\n" for @pids;
}

sub pin_postgres {
    my ($cores) = @_;
    my $pid = $t->pid('postgres');
    pin($cores, $pid, map { split ' ' } map { slurp($_) } glob "/proc/$pid/task/*/children");
}

# Workspaces, customers and, for each setting, tokens that no other setting uses.
sub make_data {
    my ($t) = @_;
    my @workspaces = map { $t->workspace } 1 .. WORKSPACES;
    my %key;
    for (split /\n/, slurp("$t->{dir}/secret")) {
        my ($id, $state, $raw) = /^([^#\s]\S*)\s+(\S+)\s+(\S+)/ or next;
        %key = (id => $id, map { $_ => hmac_sha256("portal/v1/$_", decode_base64($raw)) } qw(token check))
            if $state eq 'sign';
    }
    open my $random, '<:raw', '/dev/urandom' or die "/dev/urandom: $!\n";
    $t->db->do('COPY portal.workspace_access_tokens (workspace_id, token_hash, secret_id, scopes) FROM STDIN');
    for my $setting (@chosen) {
        my @tokens;
        for my $n (1 .. $TOKENS{$setting}) {
            read $random, my $bytes, 32;
            my $check = substr hmac_sha256($bytes, $key{check}), 0, 4;
            my $token = 'portal_oat_' . encode_base64url($bytes . $check);
            push @tokens, $token;
            # sessions are made for the customers of the first workspace
            my $workspace = $workspaces[$setting eq 'sessions' ? 0 : $n % @workspaces];
            $t->db->pg_putcopydata(join("\t", $workspace->{id}, hmac_sha256_hex($token, $key{token}), $key{id},
                '{client_portal:read,customer_sessions:write}') . "\n");
        }
        $t->write_file("tokens.$setting", join "\n", @tokens, '');
    }
    $t->db->pg_putcopyend;
    # ids that pgbench can count up as well
    $t->db->do(q{
        INSERT INTO portal.customers (id, workspace_id, email, name, type)
        SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, $1, 'customer' || n || '@example.com',
               'Customer ' || n, 'individual'
          FROM generate_series(1, $2::int) n}, undef, $workspaces[0]{id}, CUSTOMERS);
    $t->write_file('bodies', join "\n", map({ sprintf '{"customer_id":"00000000-0000-4000-8000-%012d"}', $_ }
        1 .. CUSTOMERS), '');
    $t->db->do('VACUUM ANALYZE');
    $t->{workspace_id} = $workspaces[0]{id};
}

# A zone of the setting's own, and the limit of its tokens.
sub settings {
    my ($setting, $quota, $window) = @_;
    return "portal_zone $setting:$SIZE{$setting}; portal_rate_limit_class client-portal $quota $window;";
}

sub configure {
    my $http = settings(@_);
    return if $t->{option}{http} eq $http;
    $t->{option}{http} = $http;
    $t->reload;
}

# ---- one run

# Runs wrk and returns what it and the kernel counted. wrk sleeps where PostgreSQL needs its core.
sub load_of {
    my ($setting, $path, $for, %how) = @_;
    my ($method, $bodies) = $how{bodies} ? ('POST', $how{bodies}) : ('GET', '');
    my @worker = $t->workers;
    die "one worker is expected, not @worker\n" unless @worker == 1;
    my %pid = (worker => $worker[0], redis => $t->pid('redis'));
    my %before = (map({ $_ => cpu_time($pid{$_}) } keys %pid), redis_counts(), core_time());
    my $awake = $how{awake} && !$sleepy ? "LD_PRELOAD=$t->{dir}/awake.so " : '';
    my $output = qx{${awake}wrk -t1 -c@{[CONNECTIONS]} -d${for}s -s t/bench/requests.lua http://127.0.0.1:$t->{http_port} \\
        -- $method $path $t->{dir}/tokens.$setting @{[$offset{$setting} // 0]} $bodies 2>&1};
    my %after = (map({ $_ => cpu_time($pid{$_}) } keys %pid), redis_counts(), core_time());
    my ($figures) = $output =~ /^FIGURES (.*)/m or die "wrk: $output\n";
    my %run = map { split /=/ } split ' ', $figures;
    my $requests = $run{requests} || die "wrk had no answer: $output\n";
    $offset{$setting} += $requests;
    $run{rate} = $requests / $run{microseconds} * 1e6;
    $run{$_} = ($after{$_} - $before{$_}) / 1000 / $requests for qw(worker redis);
    $run{cpu} = $run{worker} + $run{redis};
    $run{$_} = ($after{$_} - $before{$_}) / $requests for qw(checks calls);
    # what others had of the servers' core while we wanted it
    my $total = $after{core_total} - $before{core_total};
    my $ours = ($after{worker} - $before{worker} + $after{redis} - $before{redis}) / 1e7;
    $run{others} = $total > 0 ? ($total - ($after{core_idle} - $before{core_idle}) - $ours) / $total : 0;
    broken("$setting: $run{broken} broken connections at $path") if $run{broken};
    return \%run;
}

# Nanoseconds on a processor: these servers do their work in their main thread.
sub cpu_time { (split ' ', slurp("/proc/$_[0]/schedstat"))[0] }

# Time of the servers' core in hundredths of a second.
sub core_time {
    my ($line) = slurp('/proc/stat') =~ /^cpu$core (.*)/m;
    my @time = split ' ', $line;
    return (core_total => sum0(@time[0 .. 7]), core_idle => $time[3] + $time[4]);
}

# Calls of the limiter's script, and admissions it was asked for.
sub redis_counts {
    my ($calls) = ($t->redis->info('commandstats')->{cmdstat_evalsha} // '') =~ /calls=(\d+)/;
    my ($checks) = $t->get('/metrics')->content =~ /^portal_limit_questions_total\{asked="redis"\} (\d+)/m;
    return (calls => $calls // 0, checks => $checks // die "no count of checks\n");
}

sub broken { push @broken, $_[0]; print "BROKEN: $_[0]\n" }

sub all_good {
    my ($setting, $run) = @_;
    broken("$setting: $run->{refused} of $run->{requests} answers are errors") if $run->{refused};
    return !$run->{refused};
}

# ---- settings

sub leases {
    heading('leases', "$TOKENS{leases} tokens, limit far away");
    configure('leases', 1_000_000, '60s');
    config_is_served('leases');
    warm_up('leases', $TOKENS{leases} * 3);
    my ($rate, $cpu) = beside_return_200('leases', \&all_good);
    bar('(a) worker + Redis CPU', $cpu, '<=', 1.5, '× return 200');
    bar('(a) requests per second', $rate, '>=', 0.7, '× return 200');
}

sub checks {
    heading('checks', "$TOKENS{checks} tokens at 60 a minute, each well below");
    configure('checks', 60, '60s');
    config_is_served('checks');
    warm_up('checks', $TOKENS{checks});
    my ($rate, $cpu) = beside_return_200('checks', \&all_good);
    bar('(b) worker + Redis CPU', $cpu, '<=', 1.9, '× return 200');
    bar('(b) requests per second', $rate, '>=', 0.55, '× return 200');
}

sub refused {
    heading('refused', 'tokens already denied');
    configure('refused', 60, '1h');
    my $denied = 0;
    for (1 .. 10) {
        my $run = load_of('refused', $CONFIG, 1);
        $denied = $run->{refused} == $run->{requests};
        last if $denied;
    }
    broken('refused: tokens are still admitted') unless $denied;
    my (undef, $cpu) = beside_return_200('refused', sub {
        my (undef, $run) = @_;
        broken("refused: only $run->{refused} of $run->{requests} refused") if $run->{refused} != $run->{requests};
    });
    bar('(c) worker + Redis CPU', $cpu, '<=', 1.25, '× return 200');
}

sub sessions {
    heading('sessions', 'POST customer-sessions beside pgbench, ' . CONNECTIONS . ' clients each');
    configure('sessions', 60, '60s');
    my $bodies = "$t->{dir}/bodies";
    my $path = '/api/customer-sessions/';
    load_of('sessions', $path, 1, bodies => $bodies);
    write_pgbench_script();
    # the worker's CPU is told as in the other settings, with wrk awake; PostgreSQL is then short of its core
    my (@posts, @awake, @pgbench);
    for (1 .. ($quick ? 1 : 5)) {
        push @posts, load_of('sessions', $path, $seconds, bodies => $bodies);
        push @awake, load_of('sessions', $path, $seconds, bodies => $bodies, awake => 1);
        all_good('sessions', $_) for $posts[-1], $awake[-1];
        push @pgbench, pgbench($seconds);
    }
    table(['POST customer-sessions', @posts], ['  wrk awake', @awake]);
    printf "  %-24s %10.0f\n", 'pgbench', median(map { $_->{rate} } @pgbench);
    my $ratio = median(map { $posts[$_]{rate} / $pgbench[$_]{rate} } 0 .. $#posts);
    bar('(d) worker CPU', median(map { $_->{worker} } @awake), '<=', 60, 'µs a request');
    bar('(d) requests per second', $ratio, undef, undef, '× pgbench');
}

sub auth {
    heading('auth', 'a static file with portal_auth beside the same without');
    configure('auth', 60, '60s');
    warm_up('auth', $TOKENS{auth}, '/guarded/file.html');
    my (@open, @guarded);
    for (1 .. $rounds) {
        push @open,    load_of('auth', '/open/file.html',    $seconds, awake => 1);
        push @guarded, load_of('auth', '/guarded/file.html', $seconds, awake => 1);
        all_good('auth', $_) for $open[-1], $guarded[-1];
    }
    table(['without portal_auth', @open], ['with portal_auth', @guarded]);
    my $more = median(map { $guarded[$_]{worker} - $open[$_]{worker} } 0 .. $#open);
    bar('(e) portal_auth: more worker CPU', $more, '<=', 2, 'µs a request');
}

# One answer looked at as a whole, before a great many are only counted.
sub config_is_served {
    my ($setting) = @_;
    my ($token) = slurp("$t->{dir}/tokens.$setting") =~ /^(\S+)/;
    my $answer = $t->get($CONFIG, token => $token);
    my $body = json_of($answer);
    broken("$setting: " . $answer->status_line) unless $answer->code == 200 && $body && $body->{data}{portal_name};
}

# Until every token has been used, so that all are in the zone. PostgreSQL has the most to do here.
sub warm_up {
    my ($setting, $requests, $path) = @_;
    my $start = time;
    pin_postgres("$core,$other");
    while (($offset{$setting} // 0) < $requests) {
        my $run = load_of($setting, $path // $CONFIG, $requests > 50_000 ? 4 : 1);
        die "$setting: warmed up too slowly\n" if !all_good($setting, $run) || time - $start > 180;
    }
    pin_postgres($other);
    printf "  warmed up in %d s\n", time - $start;
}

# Ratios of requests per second and CPU.
sub beside_return_200 {
    my ($setting, $check) = @_;
    my (@plain, @subject);
    my $transactions = transactions();
    for (1 .. $rounds) {
        my $offset = $offset{$setting};
        push @plain, load_of($setting, '/api/v1/client-portal/return', $seconds, awake => 1);
        $offset{$setting} = $offset;
        push @subject, load_of($setting, $CONFIG, $seconds, awake => 1);
        all_good($setting, $plain[-1]);
        $check->($setting, $subject[-1]);
    }
    table(['return 200', @plain], ['GET config', @subject]);
    my %mean = map { my $field = $_; $field => median(map { $_->{$field} } @subject) } qw(checks calls);
    printf "  of 1000 requests %.0f keys were checked in Redis, by %.0f calls of its script; "
        . "%d transactions in PostgreSQL\n", 1000 * $mean{checks}, 1000 * $mean{calls}, transactions() - $transactions;
    return map { my $field = $_; median(map { $subject[$_]{$field} / $plain[$_]{$field} } 0 .. $#plain) } qw(rate cpu);
}

sub transactions { $t->value("SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = 'portal'") }

# ---- pgbench

# The statement as the worker has prepared it, run with a new session's values. Each client prepares it once: pgbench's
# own variables cannot be NULL.
sub write_pgbench_script {
    my $sql = $t->value(q{SELECT query FROM pg_stat_activity
        WHERE usename = 'portal_web' AND query LIKE '%INSERT INTO portal.customer_sessions%' LIMIT 1});
    die "the statement is not in pg_stat_activity\n" unless $sql;
    my $hash = q{encode(sha256(uuid_send(gen_random_uuid())), 'hex')};
    my $values = join ', ', "'$t->{workspace_id}'", "('00000000-0000-4000-8000-' || lpad(:n::text, 12, '0'))::uuid", ('NULL') x 5, 3600, 'gen_random_uuid()', "'k1'",
        $hash, $hash, "'$t->{workspace_id}'", "'/api/customer-sessions'", ('NULL') x 4;
    $t->write_file('pgbench.sql', <<"SQL");
\\set n random(1, @{[CUSTOMERS]})
\\if :prepared = 0
PREPARE make AS $sql;
\\set prepared 1
\\endif
EXECUTE make($values);
SQL
}

# The median of its seconds, of which the first two do not count: each client prepares and plans then.
sub pgbench {
    my ($for) = @_;
    my $output = qx{pgbench -n -c @{[CONNECTIONS]} -j 1 -T @{[$for + 2]} -P 1 -D prepared=0 -f $t->{dir}/pgbench.sql \\
        -h $t->{dir}/pg -p $t->{postgres_port} -U portal_web portal 2>&1};
    my (undef, undef, @rates) = $output =~ /^progress: \S+ s, ([\d.]+) tps/mg;
    @rates or die "pgbench: $output\n";
    broken("pgbench: $1 failed") if $output =~ /failed transactions: ([1-9]\d*)/;
    return { rate => median(@rates) };
}

# ---- what is told

sub heading {
    my ($setting, $text) = @_;
    my ($letter) = grep { $letter{$_} eq $setting } sort keys %letter;
    printf "\n(%s) %s: %s (%d s)\n", $letter, $setting, $text, time - $began;
}

sub table {
    printf "  %-24s %10s %9s %9s %10s %9s %9s %8s\n", '', 'requests/s', 'p50 µs', 'p99 µs', 'worker µs', 'redis µs',
        'sum µs', 'others';
    for (@_) {
        my ($name, @runs) = @$_;
        my %median = map { my $field = $_; $field => median(map { $_->{$field} } @runs) }
            qw(rate p50 p99 worker redis cpu others);
        printf "  %-24s %10.0f %8.0f %8.0f %9.2f %8.2f %8.2f %7.0f%%\n", $name,
            @median{qw(rate p50 p99 worker redis cpu)}, 100 * $median{others};
    }
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    my $middle = int(@sorted / 2);
    return @sorted % 2 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2;
}

sub bar {
    my ($name, $value, $relation, $bar, $unit) = @_;
    my $line = sprintf '%-34s %7.2f %-14s', $name, $value, $unit;
    if (defined $bar) {
        my $reached = $relation eq '<=' ? $value <= $bar : $value >= $bar;
        $line .= sprintf ' bar %s %.2f: %s', $relation eq '<=' ? 'at most ' : 'at least', $bar,
            $reached ? 'reached' : 'MISSED';
    }
    print "  $line\n";
    push @bars, $line;
}

sub report {
    $t->shut_down;
    my @errors = grep { /\[(?:alert|emerg|crit|error)\]/ } split /\n/, $t->log_text;
    broken("error.log: $_") for grep { defined } @errors[0 .. 4];
    broken('error.log: ' . (@errors - 5) . ' more') if @errors > 5;
    print "\nSummary (", time - $began, " s)\n", map { "  $_\n" } @bars;
    print "  BROKEN: $_\n" for @broken;
    if ($keep) { print "left $t->{dir}\n" } else { $t->clean }
}
