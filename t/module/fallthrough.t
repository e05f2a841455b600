# portal_api serves the paths of its routes; every other path of the location stays the site's own, and so do its blocks
# and what other modules do there.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my $echo = $t->echo;
my ($backend, $files, $some, $blocks, $mirrored, $seen) = map { $t->free_port } 1 .. 6;
$t->{option}{server} = 'location / { return 418; }';
$t->{option}{http} = <<"NGINX";
    server { listen 127.0.0.1:$backend; location /api/ { portal_api; proxy_pass http://127.0.0.1:$echo; } }
    server { listen 127.0.0.1:$files; location / { portal_api; } }
    server { listen 127.0.0.1:$some;
        location /api/v1/client-portal/ { portal_api client-portal; proxy_pass http://127.0.0.1:$echo; }
        location /api/customer-sessions { portal_api sessions; }
        location / { proxy_pass http://127.0.0.1:$echo; } }
    server { listen 127.0.0.1:$blocks; location /api/ { portal_api; proxy_pass http://127.0.0.1:$echo;
        limit_except GET { allow 127.0.0.1; deny all; } if (\$http_x_mark) { set \$mark 1; } } }
    server { listen 127.0.0.1:$mirrored; location /api/ { portal_api; mirror /seen; }
        location /seen { internal; proxy_pass http://127.0.0.1:$seen\$request_uri; } }
    log_format seen escape=none '\$request_uri \$request_body';
    server { listen 127.0.0.1:$seen; access_log %%DIR%%/seen.log seen; location / { proxy_pass http://127.0.0.1:$echo; } }
NGINX
$t->start('nginx');
my %port = (bare => $t->port, backend => $backend, files => $files, some => $some, blocks => $blocks, mirrored => $mirrored);
my $ws = $t->workspace;
my $token = $t->token($ws);
my $config = '/api/v1/client-portal/config';
sub ask { my ($server, $method, $path, %option) = @_; $t->request($method, $path, base => "http://127.0.0.1:$port{$server}", %option) }
sub is_ours { my ($response, $status, $name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, $status, $name); like($response->header('Content-Type') // '', qr{^application/json}, "$name: ours") }
sub is_theirs { my ($response, $line, $name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, 200, $name); like($response->content, qr/^\Q$line\E HTTP\/1\.0\r\n/, "$name: the backend's") }

subtest 'without anything beside it' => sub {
    is_ours(ask('bare', GET => $config, token => $token), 200, 'a route');
    for ('/api/none', '/api/', '/api/v1/none', '/api/customer-sessionsx', '/api/customer-sessions/x/y') {
        is_answer(ask('bare', GET => $_, token => $token), 404, '{"detail":"Not Found"}', $_);
        is_answer(ask('bare', POST => $_, token => $token, json => {}), 404, '{"detail":"Not Found"}', "POST $_");
    }
    is_answer(ask('bare', GET => '/api/v1/client-portal/none', token => $token), 404, '{"message":"Not found."}', 'client portal');
    is_status(ask('bare', GET => '/elsewhere'), 418, 'outside the location');
};

subtest 'with a backend' => sub {
    is_ours(ask('backend', GET => $config, token => $token), 200, 'a route');
    is_ours(ask('backend', GET => "$config/", token => $token), 200, 'with a last slash');
    is_ours(ask('backend', GET => $config), 401, 'a route without credentials');
    is_ours(ask('backend', PUT => $config, token => $token), 405, 'a route with the wrong method');
    is_ours(ask('backend', POST => '/api/customer-sessions/', token => $token, json => {}), 422, 'a POST');
    is_theirs(ask('backend', GET => '/api/none?a=b'), 'GET /api/none?a=b', 'no route');
    is_theirs(ask('backend', GET => '/api/none', token => 'portal_oat_nonsense'), 'GET /api/none', 'whatever the bearer');
    is_theirs(ask('backend', GET => '/api/v1/client-portal/none'), 'GET /api/v1/client-portal/none', 'next to a route');
    is_theirs(ask('backend', GET => '/api/customers/', token => $token), 'GET /api/customers/', 'a group not served here');
    my $big = ask('backend', POST => '/api/upload', body => 'u' x 300_000);
    is_theirs($big, 'POST /api/upload', 'a POST, larger than our routes take');
    is(length($big->content =~ s/.*?\r\n\r\n//sr), 300_000, 'whole');
    my $socket = $t->connect($backend);
    my @codes = map { $t->ask($socket, "GET $_ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n")->{status} } ($config, '/api/none') x 3;
    is_deeply(\@codes, [(200) x 6], 'in turn on one connection');
};

subtest 'with files' => sub {
    $t->write_file('html/index.html', "index\n");
    $t->write_file('html/page.txt', "the page\n");
    mkdir "$t->{dir}/html/api";
    $t->write_file('html/api/file.txt', "a file\n");
    is_ours(ask('files', GET => $config, token => $token), 200, 'a route');
    is(ask('files', GET => '/')->content, "index\n", 'the index');
    is(ask('files', GET => '/page.txt')->content, "the page\n", 'a file');
    is_status(ask('files', GET => '/none.txt'), 404, 'no file');
    like(ask('files', GET => '/none.txt')->content, qr/nginx/, 'in nginx\'s words');
    is_answer(ask('files', GET => '/api/none', token => $token), 404, '{"detail":"Not Found"}', 'below /api/ nothing but routes');
};

subtest 'groups' => sub {
    is_ours(ask('some', GET => $config, token => $token), 200, 'client-portal');
    is_theirs(ask('some', GET => '/api/v1/client-portal/none'), 'GET /api/v1/client-portal/none', 'beside its routes');
    is_ours(ask('some', POST => '/api/customer-sessions/', token => $token, json => {}), 422, 'sessions');
    is_theirs(ask('some', POST => '/api/member-sessions/', json => {}), 'POST /api/member-sessions/', 'not named');
    is_theirs(ask('some', GET => '/api/v2'), 'GET /api/v2', 'the rest');
};

subtest 'limit_except and if' => sub {
    is_ours(ask('blocks', GET => $config, token => $token), 200, 'a route');
    is_ours(ask('blocks', GET => $config, token => $token, headers => { 'X-Mark' => 1 }), 200, 'in the block of an if');
    is_ours(ask('blocks', POST => '/api/customer-sessions/', token => $token, json => {}), 422, 'in that of a limit_except');
    is_theirs(ask('blocks', POST => '/api/none', json => {}), 'POST /api/none', 'no route');
    is_status(ask('blocks', POST => '/api/customer-sessions/', token => $token, json => {}, headers => { 'X-Real-IP' => '10.0.0.1' }), 403, 'one that is denied');
};

subtest 'a mirror sees the body, too' => sub {
    my $customer = $t->customer($ws);
    my $size = 0;
    for my $path ('/api/customer-sessions/', '/api/customer-sessions/?again') {
        my $response = ask('mirrored', POST => $path, token => $token, json => { customer_id => $customer->{id} });
        is_ours($response, 201, 'a POST');
        ok($t->wait_for(sub { $t->log_text('seen.log') =~ /^\Q$path\E \{"customer_id":"$customer->{id}"\}$/m }, 5), 'mirrored whole') or diag $t->log_text('seen.log');
    }
};

subtest 'odd paths' => sub {
    is_ours(ask('backend', GET => '/api/v1/../v1/client-portal/./config', token => $token), 200, 'normalised first');
    is_ours(ask('backend', GET => '/api//v1/client-portal/config', token => $token), 200, 'slashes merged');
    is_ours(ask('backend', GET => '/api/v1/client%2Dportal/config', token => $token), 200, 'decoded');
    is_status(ask('backend', GET => '/API/v1/client-portal/config', token => $token), 404, 'case matters');
};

$t->done;
