# portal_metrics and portal_health: what a node has counted, told in Prometheus's text format, and whether it can serve.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use PortalStream;

my $t = PortalTest->new(
    http => "portal_rate_limit_class client-portal 5 60s;\ninclude %%ROOT%%/conf/monitoring/access_log.conf;\n"
        . 'access_log %%DIR%%/json.log portal_json;',
    location => <<'NGINX');
        location = /metrics      { access_log off; portal_metrics; }
        location = /health/live  { access_log off; portal_health live; }
        location = /health/ready { access_log off; portal_health ready; }
        location /site/          { portal_workspace any; portal_auth customer; alias %%DIR%%/html/; }
NGINX
$t->write_file('html/page.txt', "the page\n");
$t->mail_mode('accept');
my $acme = $t->workspace;
my $token = $t->token($acme);

# {name{labels} => value}
sub metrics { my $text = $t->get('/metrics')->content; return { map { /^([^# ].*) (\S+)$/ ? ($1 => $2) : () } split /\n/, $text } }
sub grown { my ($before, $name) = @_; (metrics()->{$name} // 0) - ($before->{$name} // 0) }
sub soon { my ($check, $what) = @_; ok($t->wait_for($check, 5), $what) }

subtest 'the format' => sub {
    my $answer = $t->get('/metrics');
    is_status($answer, 200);
    is($answer->header('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8', 'its type');
    is($answer->header('Cache-Control'), 'no-store', 'of now');
    $t->write_file('metrics.txt', $answer->content);
    my ($code, $out) = $t->run('promtool', 'sh', '-c', "promtool check metrics <$t->{dir}/metrics.txt");
    is($code, 0, 'promtool has nothing to say') or diag $out;
    is_status($t->request('HEAD', '/metrics'), 200);
    is_status($t->post('/metrics'), 405);
};

subtest 'requests by route and status, of all workers' => sub {
    my $before = metrics();
    my $row = $t->customer($acme);
    my @sessions = map { $t->session($row) } 1 .. 3;
    $t->at_once(map { $t->bytes('GET', '/api/customer-portal/customers/me/', token => $_) } (@sessions) x 4);
    $t->get('/api/nowhere/');
    $t->post('/api/customer-sessions/', token => 'portal_oat_forged');
    is(grown($before, 'portal_requests_total{method="POST",route="/api/customer-sessions",status="201"}'), 3, 'sessions made');
    is(grown($before, q(portal_requests_total{method="GET",route="/api/customer-portal/customers/me",status="200"})), 12, "over several connections");
    is(grown($before, 'portal_requests_total{method="any",route="none",status="404"}'), 1, 'a path that is nobody\'s');
    is(grown($before, 'portal_requests_total{method="any",route="none",status="401"}'), 1, 'refused before any route');
    my $now = metrics();
    my ($count, $infinite) = map { $now->{"portal_request_duration_seconds_$_"} } 'count', 'bucket{le="+Inf"}';
    is($count, $infinite, 'the last bucket holds all');
    my @buckets = map { $now->{$_} } sort { ($a =~ /"([\d.]+)/)[0] <=> ($b =~ /"([\d.]+)/)[0] }
        grep { /^portal_request_duration_seconds_bucket\{le="\d/ } keys %$now;
    is_deeply(\@buckets, [sort { $a <=> $b } @buckets], 'buckets are cumulative');
    for my $backend (qw(postgres_lookup postgres redis)) {
        cmp_ok($now->{qq(portal_backend_duration_seconds_count{backend="$backend"})}, '>', 0, "$backend is timed");
        cmp_ok($now->{qq(portal_backend_duration_seconds_sum{backend="$backend"})}, '>', 0, "$backend takes time");
    }
};

subtest 'limits and the zone' => sub {
    my $before = metrics();
    my $mine = $t->token($acme);
    my @codes = map { $t->get('/api/v1/client-portal/config', token => $mine)->code } 1 .. 7;
    is_deeply(\@codes, [(200) x 5, 429, 429], 'five, and two refused');
    is(grown($before, 'portal_limit_decisions_total{decision="admitted"}'), 5, 'admitted');
    is(grown($before, 'portal_limit_decisions_total{decision="denied"}'), 2, 'denied');
    is(grown($before, 'portal_requests_total{method="GET",route="/api/v1/client-portal/config",status="429"}'), 2, 'by route');
    is(grown($before, 'portal_zone_lookups_total{table="principals",result="miss"}'), 1, 'read once');
    is(grown($before, 'portal_zone_lookups_total{table="principals",result="hit"}'), 6, 'and found after that');
};

subtest 'the site\'s own locations' => sub {
    my $before = metrics();
    my $session = $t->session($t->customer($acme));
    is_status($t->get('/site/page.txt', token => $session), 200);
    is_status($t->get('/site/page.txt'), 401) for 1 .. 2;
    is(grown($before, 'portal_access_decisions_total{decision="passed"}'), 1, 'passed');
    is(grown($before, 'portal_access_decisions_total{decision="unauthorized"}'), 2, 'unauthorized');
};

subtest 'workers, streams and the helper' => sub {
    soon(sub { metrics()->{portal_workers} == 2 }, 'two workers');
    soon(sub { metrics()->{portal_helper_lines} == 2 }, 'each with a line to the helper');
    soon(sub { metrics()->{portal_redis_connections} == 2 }, 'and to Redis');
    soon(sub { (metrics()->{portal_postgres_connections} // 0) == 6 }, 'and three to PostgreSQL');
    my $stream = PortalStream->new($t, '/api/customer-portal/customers/stream', token => $t->session($t->customer($acme)));
    $stream->started;
    soon(sub { metrics()->{portal_streams} == 1 }, 'an open stream');
    undef $stream;
    soon(sub { metrics()->{portal_streams} == 0 }, 'and none');
    soon(sub { metrics()->{portal_helper_up} == 1 }, 'the helper reports');
    my $now = metrics();
    is($now->{'portal_queue_waiting{queue="mail"}'}, 0, 'no mail waits');
    ok(exists $now->{qq(portal_mail_attempts_total{result="$_"})}, "mails $_") for qw(sent refused deferred);
    my ($one) = $t->workers;
    kill 'KILL', $one;
    $t->tolerate(qr/exited on signal 9/);
    soon(sub { (metrics()->{portal_postgres_connections} // 0) == 6 }, 'another took a killed one\'s place');
    ok($t->wait_for(sub { metrics()->{portal_workers} == 2 }, 8), 'and the killed one counts no more');
};

subtest 'a reload keeps what was counted' => sub {
    my $name = 'portal_requests_total{method="POST",route="/api/customer-sessions",status="201"}';
    my $before = metrics()->{$name};
    cmp_ok($before, '>', 0, 'counted');
    $t->reload;
    is(metrics()->{$name}, $before, 'and still there');
};

subtest 'health' => sub {
    is_deeply(json_of($t->get('/health/live')), { status => 'live' }, 'live');
    soon(sub { $t->get('/health/ready')->code == 200 }, 'ready');
    soon(sub { my $told = json_of($t->get('/health/ready')); $told->{redis} && $told->{helper} && $told->{postgres} }, 'with all backends');
    $t->tolerate(qr/redis: no connection/, qr/postgres: a connection is lost/, qr/helper: no line/);
    $t->stop('redis');
    soon(sub { my $told = json_of($t->get('/health/ready')); $told->{status} eq 'ready' && !$told->{redis} }, 'ready without Redis, and says so');
    soon(sub { metrics()->{portal_degraded_seconds_total} >= 1 }, 'counted in seconds');
    $t->stop('postgres');
    soon(sub { $t->get('/health/ready')->code == 503 }, 'not ready without PostgreSQL');
    is(json_of($t->get('/health/ready'))->{status}, 'unavailable', 'as it says');
    is_status($t->get('/health/live'), 200);
    is_status($t->get('/metrics'), 200);
    $t->start('postgres');
    soon(sub { $t->get('/health/ready')->code == 200 }, 'ready again');
};

subtest 'the JSON access log has no credential' => sub {
    my $session = $t->session($t->customer($acme));
    $t->get("/site/page.txt?customer_session_token=$session", headers => { Referer => "https://a.example/?customer_session_token=$session" });
    my $lines = $t->log_text('json.log');
    my @objects = map { json_of($_) } split /\n/, $lines;
    is(scalar(grep { !defined } @objects), 0, 'each line is an object');
    ok((grep { $_->{uri} =~ /customer_session_token=x+/ } @objects), 'masked in the URI');
    unlike($lines, qr/portal_(?:oat|cst|mst|cpt)_(?!forged)/, 'no token anywhere');
};

subtest 'alert rules and dashboard' => sub {
    my ($code, $out) = $t->run('promtool', 'promtool', 'check', 'rules', PortalTest::root() . '/conf/monitoring/alerts.yml');
    is($code, 0, 'promtool takes the rules') or diag $out;
    my $text = $t->get('/metrics')->content;
    my %known = map { $_ => 1 } $text =~ /^# TYPE (\S+)/mg;
    my $dashboard = PortalTest::slurp(PortalTest::root() . '/conf/monitoring/dashboard.json');
    ok(json_of($dashboard), 'the dashboard is JSON');
    for my $file (PortalTest::slurp(PortalTest::root() . '/conf/monitoring/alerts.yml'), $dashboard) {
        my %named = map { s/_(?:bucket|sum|count)$//r => 1 } $file =~ /\b(portal_[a-z_]+)(?=[\[{)\s,=]|$)/mg;
        is_deeply([grep { !$known{$_} && !/^portal_(?:metrics|stale|zone|postgres)$/ } sort keys %named], [], 'all names are told');
    }
};

$t->done;
