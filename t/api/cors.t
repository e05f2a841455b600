# CORS: '*' for bearer calls, credentials only for origins of the list.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(http => 'portal_cors_credentials https://app.example.com https://two.example.com:8443;');
my $ws = $t->workspace;
my $token = $t->token($ws);
my $config = '/api/v1/client-portal/config';
my $sessions = '/api/customer-sessions/';
sub list { join ', ', sort map { lc } split /,\s*/, $_[0] // '' }
my %foreign = (Origin => 'https://anywhere.example.net');

subtest 'preflight' => sub {
    for (["$config", 'PATCH'], [$sessions, 'POST'], ['/api/v1/client-portal/contacts/1/invite', 'POST']) {
        my ($path, $method) = @$_;
        my $response = $t->request('OPTIONS', $path, headers => { %foreign, 'Access-Control-Request-Method' => $method,
            'Access-Control-Request-Headers' => 'authorization,content-type,idempotency-key' });
        is_answer($response, 204, '', $path);
        is($response->header('Access-Control-Allow-Origin'), '*', 'any origin');
        is($response->header('Access-Control-Allow-Credentials'), undef, 'no credentials');
        like($response->header('Access-Control-Allow-Methods'), qr/\b$method\b/, 'method');
        my $headers = list($response->header('Access-Control-Allow-Headers'));
        like($headers, qr/\b$_\b/, $_) for qw(authorization content-type idempotency-key);
        cmp_ok($response->header('Access-Control-Max-Age') // 0, '>', 0, 'may be kept');
    }
    is_status($t->request('OPTIONS', '/api/nonsense', headers => { %foreign, 'Access-Control-Request-Method' => 'GET' }), 404, 'of nothing');
};

subtest 'bearer calls' => sub {
    for my $response ($t->get($config, token => $token, headers => \%foreign),
        $t->post($sessions, token => $token, json => {}, headers => \%foreign),
        $t->get($config, headers => \%foreign), $t->get('/api/nonsense', headers => \%foreign),
        $t->get($config, token => 'x', headers => \%foreign)) {
        is($response->header('Access-Control-Allow-Origin'), '*', 'any origin, ' . $response->code);
        is($response->header('Access-Control-Allow-Credentials'), undef, 'no credentials');
        my $exposed = list($response->header('Access-Control-Expose-Headers'));
        like($exposed, qr/(?:^|, )$_(?:,|$)/, "$_ exposed")
            for qw(x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset ratelimit ratelimit-policy retry-after x-request-id);
    }
};

subtest 'origins of the list' => sub {
    for my $origin ('https://app.example.com', 'https://two.example.com:8443') {
        my $response = $t->get($config, token => $token, headers => { Origin => $origin });
        is($response->header('Access-Control-Allow-Origin'), $origin, 'itself');
        is($response->header('Access-Control-Allow-Credentials'), 'true', 'credentials');
        like($response->header('Vary'), qr/\bOrigin\b/, 'Vary');
        my $preflight = $t->request('OPTIONS', $config, headers => { Origin => $origin, 'Access-Control-Request-Method' => 'PATCH' });
        is($preflight->header('Access-Control-Allow-Credentials'), 'true', 'preflight');
        is($preflight->header('Access-Control-Allow-Origin'), $origin, 'itself');
    }
    for my $origin ('https://app.example.com.evil.net', 'http://app.example.com', 'https://two.example.com', 'null',
        'https://APP.example.comx') {
        my $response = $t->get($config, token => $token, headers => { Origin => $origin });
        is($response->header('Access-Control-Allow-Credentials'), undef, "not $origin");
        is($response->header('Access-Control-Allow-Origin'), '*', 'any');
    }
};

subtest 'without Origin nothing is said' => sub {
    my $response = $t->get($config, token => $token);
    is($response->header('Access-Control-Allow-Credentials'), undef, 'no credentials');
    my $options = $t->request('OPTIONS', $config);
    is_status($options, 204);
    ok($options->header('Allow'), 'Allow');
};

$t->done;
