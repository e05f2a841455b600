# Paths, methods and the two shapes of an error.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace;
my $token = $t->token($ws);
my $rest = '/api/customer-sessions';
my $client = '/api/v1/client-portal';

subtest 'unknown paths' => sub {
    is_answer($t->get($_, token => $token), 404, '{"detail":"Not Found"}', $_)
        for '/api/', '/api/nonsense', '/api/customer-sessionsx', '/api/customer-sessions/a/b', '/api//customer-sessions/x/y',
        '/api/v1/', '/api/v2/client-portal/config';
    is_answer($t->get($_, token => $token), 404, '{"message":"Not found."}', $_)
        for "$client/nonsense", "$client/config/x", "$client/contacts/1", "$client/contacts//invite";
    my $response = $t->get('/api/nonsense', token => $token);
    like($response->header('X-Request-ID'), qr/^[0-9a-f]{32}$/, 'with a request id');
    like($t->get('/api/nonsense')->content, qr/Not Found/, 'before credentials are asked');
};

subtest 'wrong methods' => sub {
    my %allow = ("$rest/" => 'DELETE, OPTIONS, POST', "$rest/8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001" => 'DELETE, OPTIONS',
        '/api/member-sessions/' => 'OPTIONS, POST', "$client/config" => 'GET, HEAD, OPTIONS, PATCH',
        "$client/contacts/1/invite" => 'OPTIONS, POST', "$client/token" => 'DELETE, OPTIONS, POST');
    for my $path (sort keys %allow) {
        for my $method (qw(PUT GET)) {
            next if $allow{$path} =~ /\b$method\b/;
            my $response = $t->request($method, $path, token => $token);
            is_status($response, 405, "$method $path");
            is(join(', ', sort split /,\s*/, $response->header('Allow') // ''), $allow{$path}, 'Allow');
            my $body = json_of($response);
            is($body->{ $path =~ /v1/ ? 'message' : 'detail' }, 'Method Not Allowed', 'body');
        }
        my $options = $t->request('OPTIONS', $path);
        is_answer($options, 204, '', "OPTIONS $path");
        is(join(', ', sort split /,\s*/, $options->header('Allow') // ''), $allow{$path}, 'Allow');
    }
    is_status($t->request('OPTIONS', '/api/nonsense'), 404, 'OPTIONS of nothing');
    is_status($t->request($_, "$client/config", token => $token), 405, $_) for qw(PROPFIND LOCK);
};

subtest 'HEAD is GET without the body' => sub {
    my $get = $t->get("$client/config", token => $token);
    my $head = $t->request('HEAD', "$client/config", token => $token);
    is_status($head, 200);
    is($head->content, '', 'no body');
    is($head->header($_), $get->header($_), $_) for qw(Content-Type Content-Length ETag);
    is_status($t->request('HEAD', "$client/config"), 401, 'without a token');
    is_status($t->request('HEAD', '/api/nonsense'), 404, 'of nothing');
};

subtest 'with and without the last slash, never a redirect' => sub {
    for ("$client/config", "$client/config/") {
        is_status($t->get($_, token => $token), 200, $_);
    }
    is_status($t->post("$client/token$_", token => $token, json => {}), 422, "token$_") for '', '/';
    is_status($t->post("/api/customer-sessions$_", token => $token, json => {}), 422, "customer-sessions$_") for '', '/';
    is_status($t->post("$client/contacts/999/invite$_", token => $token), 404, "invite$_") for '', '/';
};

subtest 'problem+json for those who ask' => sub {
    my %accept = (headers => { Accept => 'application/problem+json' });
    my $response = $t->post("$client/token", token => $token, json => {}, %accept);
    is_status($response, 422);
    is($response->header('Content-Type'), 'application/problem+json', 'type');
    my $body = json_of($response);
    is($body->{status}, 422, 'status');
    ok(length $body->{$_}, $_) for qw(type title detail);
    ok($body->{errors}, 'errors');
    $response = $t->post('/api/customer-sessions/', token => $token, json => { customer_id => 'x', return_url => 'y' }, %accept);
    is(scalar @{ json_of($response)->{errors} }, 2, 'a list of every problem');
    is($t->get('/api/nonsense', %accept)->header('Content-Type'), 'application/problem+json', 'of a 404');
    is($t->get("$client/config", %accept)->header('Content-Type'), 'application/problem+json', 'of a 401');
    is($t->get("$client/config", token => $token, %accept)->header('Content-Type'), 'application/json', 'not for success');
};

subtest 'every error carries its request id, and the log knows it' => sub {
    my %ids;
    for my $response ($t->get('/api/nonsense'), $t->get("$client/config"), $t->get("$client/config", token => 'x'),
        $t->post("$client/token", token => $token, json => {})) {
        my $id = $response->header('X-Request-ID');
        like($id, qr/^[0-9a-f]{32}$/, 'an id');
        $ids{$id}++;
        like($t->log_text, qr/\[notice\] .* answered @{[$response->code]}, request_id: $id/, 'in the log');
        is($response->header('X-Content-Type-Options'), 'nosniff', 'nosniff');
        is($response->header('Cache-Control'), 'no-store', 'no-store');
    }
    is(scalar keys %ids, 4, 'each its own');
};

subtest 'Host does not matter' => sub {
    my $customer = $t->customer($ws);
    my $response = $t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} },
        headers => { Host => 'evil.example.com', 'X-Forwarded-Host' => 'evil.example.com', 'X-Forwarded-Proto' => 'gopher' });
    is_status($response, 201);
    my $base = $t->base_url;
    like(json_of($response)->{customer_portal_url}, qr{^\Q$base/}, 'URLs come from the base URL');
    unlike($response->as_string, qr/evil/, 'and nothing from Host');
};

subtest 'with the database gone' => sub {
    $t->get("$client/config", token => $token);
    $t->stop('postgres');
    is_status($t->get("$client/config", token => $token), 200, 'what is in memory is answered');
    my $client_error = $t->post("$client/token", token => $token, json => { type => 'contact', id => 1 });
    is_answer($client_error, 503, '{"message":"Service Unavailable"}');
    ok($client_error->header('Retry-After'), 'Retry-After');
    my $rest_error = $t->post('/api/customer-sessions/', token => $token, json => { external_customer_id => 'x' });
    is_answer($rest_error, 503, '{"detail":"Service Unavailable"}');
    ok($rest_error->header('Retry-After'), 'Retry-After');
    $t->start('postgres');
    ok($t->wait_for(sub { $t->post("$client/token", token => $token, json => { type => 'contact', id => 1 })->code == 404 }, 10, 0.3),
        'and recovers');
};

$t->done;
