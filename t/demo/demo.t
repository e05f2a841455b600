# bash conf/demo: starts, finds itself running, mends what died, runs twice side by side, and ends without a trace.
use strict; use warnings; use utf8;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep);
use SeedExamples;

my $root = abs_path(dirname(__FILE__) . '/../..');
my $base = tempdir('portal-demo-XXXXXX', DIR => '/tmp', CLEANUP => 0);
my @names = qw(postgres redis mail helper nginx);
delete @ENV{qw(PORTAL_BUILD PORTAL_ASAN)};    # the demo's build is the usual one

sub slurp { open my $file, '<:encoding(UTF-8)', $_[0] or return ''; local $/; <$file> // '' }
sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1) or die $!;
    return $socket->sockport;
}
my %port;
# (exit code, output) of conf/demo in one of our directories, called from elsewhere
sub demo {
    my ($name, @arguments) = @_;
    $port{$name} //= free_port();
    my $output = "$base/output";
    my $code = system("cd $base && PORTAL_DEMO_DIR=$name PORTAL_DEMO_PORT=$port{$name} bash $root/conf/demo @arguments >$output 2>&1");
    return ($code >> 8, slurp($output));
}
sub env_of {
    my ($name) = @_;
    my @lines = split /\n/, `env -i bash -c 'set -a; source $base/$name/env; env'`;
    return { map { /^(PORTAL_\w+)=(.*)$/ } @lines };
}
sub pid_of { my ($name, $server) = @_; my ($pid) = slurp("$base/$name/$server.pid") =~ /(\d+)/; return $pid }
sub processes {
    my ($name) = @_;
    return grep { (readlink("$_/cwd") // '') =~ m{^\Q$base/$name\E(?:/|$)} } glob '/proc/[0-9]*';
}
sub http {
    my ($env, $path) = @_;
    return scalar `curl -s -m 10 -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer $env->{PORTAL_ACCESS_TOKEN}' $env->{PORTAL_URL}$path`;
}

my ($code, $output) = demo('one');
is($code, 0, 'it starts') or do { diag $output; done_testing; exit 1 };

subtest 'what it shows' => sub {
    like($output, qr/customer_portal_url.*customer_session_token=portal_cst_/, 'a customer session');
    like($output, qr/"portal_name": "Acme Client Portal"/, 'the configuration');
    like($output, qr{"url": "http://127\.0\.0\.1:$port{one}/client-portal/portal_cpt_}, 'a portal token');
    like($output, qr/"Portal invitation sent successfully"/, 'an invitation');
    like($output, qr/Subject: \S/, 'the mail that arrived');
    like($output, qr/"challenge_id": "[0-9a-f-]{36}"/, 'a sign-in asked for');
    like($output, qr/^  \@\S+ #[0-9A-Z]{6}$/m, 'the code that was mailed');
    like($output, qr/"token": "portal_cst_/, 'the session it opened');
    like($output, qr/"max_downloads"/, "the customer's files");
    SKIP: {
        skip 'no npm', 2 if system 'command -v npm >/dev/null';
        my ($url) = $output =~ m{^  the page +(http://\S+/portal) }m;
        ok($url, 'the page');
        like(scalar `curl -s -m 10 $url`, qr{<div id="portal">}, 'which is served');
    }
    like($output, qr/60 × 200\n\s*1 × 429/, 'the limit');
};

my $env = env_of('one');
subtest 'the environment file' => sub {
    ok(length $env->{$_}, $_) for qw(PORTAL_URL PORTAL_WORKSPACE_ID PORTAL_WORKSPACE_SLUG PORTAL_ACCESS_TOKEN
        PORTAL_CUSTOMER_ID PORTAL_EXTERNAL_CUSTOMER_ID PORTAL_CONTACT_ID PORTAL_COMPANY_ID PORTAL_MAIL_DIR
        PORTAL_DATABASE_URL PORTAL_REDIS_URL PORTAL_CTL PORTAL_NGINX_PID PORTAL_HELPER_PID);
    is(http($env, '/api/v1/client-portal/config'), 200, 'the token works');
    is(http($env, "/api/customers/$env->{PORTAL_CUSTOMER_ID}"), 200, 'management is served');
    is(http($env, '/api/openapi.json'), 200, 'the routes are described');
    like(scalar `cd / && $env->{PORTAL_CTL} workspace list --json`, qr/$env->{PORTAL_WORKSPACE_SLUG}/, 'portalctl, from anywhere');
    is(scalar `psql -qAtX '$env->{PORTAL_DATABASE_URL}' -c "UPDATE portal.workspaces SET name = name RETURNING 'ok'" | sort -u`, "ok\n", 'the database may be written');
    like(scalar `redis-cli -u $env->{PORTAL_REDIS_URL} ping`, qr/PONG/, 'Redis');
    ok(-d "$env->{PORTAL_MAIL_DIR}/new", 'a Maildir');
    like(slurp("/proc/$env->{PORTAL_NGINX_PID}/cmdline"), qr/^nginx: master/, 'the pid is the master\'s');
    is(slurp("/proc/$env->{PORTAL_HELPER_PID}/comm"), "portal-helper\n", 'the helper\'s pid');
    my @workers = split ' ', slurp("/proc/$env->{PORTAL_NGINX_PID}/task/$env->{PORTAL_NGINX_PID}/children");
    is(scalar @workers, 2, 'two workers');
    ok(kill(0, pid_of('one', $_)), "pid file of $_") for @names;
    ok(-e "$base/one/$_", $_) for qw(access.log error.log);
};

subtest 'the data' => sub {
    my $count = sub { my $n = `psql -qAtX '$env->{PORTAL_DATABASE_URL}' -c "SELECT count(*) FROM portal.$_[0]"`; chomp $n; $n };
    cmp_ok($count->(q(workspaces WHERE (feature_settings->>'member_model_enabled')::boolean)), '>=', 1, 'a member-model workspace');
    cmp_ok($count->(q(workspaces WHERE NOT coalesce((feature_settings->>'member_model_enabled')::boolean, false))), '>=', 1, 'a plain one');
    cmp_ok($count->("customers WHERE type = '$_'"), '>=', 1, "$_ customers") for qw(individual team);
    cmp_ok($count->("contacts WHERE email IS $_"), '>=', 1, "contacts, e-mail $_") for 'NULL', 'NOT NULL';
    my $mine = "customer_id = '$env->{PORTAL_CUSTOMER_ID}'";
    is($count->("file_share_sessions WHERE $mine AND status = '$_'") > 0, 1, "a session of the customer's that is $_")
        for qw(created active completed expired destroyed reported);
    cmp_ok($count->("file_share_$_ d JOIN portal.file_share_sessions s ON s.id = d.session_id AND s.$mine"), '>=', 1, "$_ of them")
        for qw(downloads payments);
    cmp_ok($count->(q(members m JOIN portal.customers c ON c.id = m.customer_id AND c.type = 'team')), '>=', 3, "a team's members");
    my $scopes = `psql -qAtX '$env->{PORTAL_DATABASE_URL}' -c "SELECT max(cardinality(scopes)) FROM portal.workspace_access_tokens"`;
    cmp_ok($scopes, '>=', 10, 'a token of every scope');
};

subtest 'the public examples run on it' => sub {
    my %our = (url => $env->{PORTAL_URL}, token => $env->{PORTAL_ACCESS_TOKEN}, customer => $env->{PORTAL_CUSTOMER_ID},
        contact => $env->{PORTAL_CONTACT_ID}, company => $env->{PORTAL_COMPANY_ID});
    local $ENV{RAPIDLY_ACCESS_TOKEN} = $our{token};
    local $ENV{CURL_HOME} = $base;
    open my $rc, '>', "$base/.curlrc" or die $!;
    print $rc qq(silent\nshow-error\nfail-with-body\n);
    close $rc;
    my $file = "$base/example.mjs";
    for my $name (sort keys %example) {
        open my $out, '>:encoding(UTF-8)', $file or die $!;
        print $out adapted($example{$name}, %our);
        close $out;
        my $said = $name =~ /_js$/ ? `node $file 2>&1` : `bash $file 2>&1`;
        is($?, 0, $name) or diag $said;
        my $wanted = { session => qr{\Q$our{url}/$env->{PORTAL_WORKSPACE_SLUG}\E/portal\?customer_session_token=portal_cst_}, config => qr/Acme Client Portal/,
            invite => qr/portal_cpt_/, token => qr/portal_cpt_/ }->{ $name =~ s/_.*//r };
        like($said, $wanted, "$name: what it is for");
    }
};

subtest 'a second call finds it running' => sub {
    my %before = map { $_ => pid_of('one', $_) } @names;
    my ($code, $output) = demo('one');
    is($code, 0, 'exit code') or diag $output;
    like($output, qr/running already/, 'it says so');
    is_deeply({ map { $_ => pid_of('one', $_) } @names }, \%before, 'the same processes');
    is_deeply(env_of('one'), $env, 'the same environment');
};

subtest 'a further call starts again what has died' => sub {
    my @victims = qw(helper redis nginx postgres mail);
    my %before = map { $_ => pid_of('one', $_) } @names;
    kill 'KILL', pid_of('one', $_) for @victims;
    sleep 0.3;
    my ($code, $output) = demo('one');
    is($code, 0, 'exit code') or diag $output;
    like($output, qr/Started again: postgres redis mail helper nginx/, 'it says so');
    for (@victims) { isnt(pid_of('one', $_), $before{$_}, "another $_") }
    $env = env_of('one');
    is(http($env, '/api/v1/client-portal/config'), 200, 'and works');
};

# the second one's path is longer than a unix socket's may be
my $two = 'l' x 60 . '/' . 'm' x 60;
subtest 'two side by side' => sub {
    mkdir "$base/" . 'l' x 60;
    my ($code, $output) = demo($two);
    is($code, 0, 'exit code') or diag $output;
    like($output, qr/Portal invitation sent successfully/, 'its helper is reached');
    my $second = env_of($two);
    isnt($second->{$_}, $env->{$_}, "its own $_") for qw(PORTAL_URL PORTAL_DATABASE_URL PORTAL_REDIS_URL PORTAL_ACCESS_TOKEN);
    is(http($_, '/api/v1/client-portal/config'), 200, $_->{PORTAL_URL}) for $env, $second;
    ($code, $output) = demo($two, 'stop');
    is($code, 0, 'one is stopped') or diag $output;
    is_deeply([processes($two)], [], 'without a process');
    is(http($env, '/api/v1/client-portal/config'), 200, 'the other lives');
};

subtest 'stop' => sub {
    my @pids = map { pid_of('one', $_) } @names;
    my ($code, $output) = demo('one', 'stop');
    is($code, 0, 'exit code') or diag $output;
    is_deeply([processes('one')], [], 'no process left');
    is_deeply([grep { -e "/proc/$_/exe" } @pids], [], 'nor a pid of a pid file');
    unlike(slurp("$base/one/error.log"), qr/\[(?:alert|emerg)\]/, 'no alert in the log');
    ($code) = demo('one', 'stop');
    is($code, 0, 'stopping twice is no error');
};

subtest 'ports that others have taken meanwhile' => sub {
    my ($old_redis) = $env->{PORTAL_REDIS_URL} =~ /:(\d+)$/;
    my @strangers = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 1, ReuseAddr => 1) or die "$_: $!" } $port{one}, $old_redis;
    my ($code, $output) = demo('one');
    is($code, 1, "nginx's: it does not start");
    like($output, qr/Port $port{one} of 127\.0\.0\.1 is taken\. Choose another: PORTAL_DEMO_PORT=\d+ bash/, 'and says what to do');
    is_deeply([processes('one')], [], 'nothing runs');
    $port{one} = free_port();
    ($code, $output) = demo('one');
    is($code, 0, 'on another it starts') or diag $output;
    my $env = env_of('one');
    is($env->{PORTAL_URL}, "http://127.0.0.1:$port{one}", 'which is told');
    unlike($env->{PORTAL_REDIS_URL}, qr/:$old_redis$/, 'as is the private one that was taken');
    is(http($env, '/api/v1/client-portal/config'), 200, 'it works');
    is(http($env, "/api/customers/$env->{PORTAL_CUSTOMER_ID}"), 200, 'with its data');
    demo('one', 'stop');
};

remove_tree($base) if Test::More->builder->is_passing;
done_testing;

END { my $status = $?; if ($base && -d $base) { demo($_, 'stop') for grep { -d "$base/$_" } 'one', 'l' x 60 . '/' . 'm' x 60 } $? = $status }
