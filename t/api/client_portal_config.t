# GET and PATCH /api/v1/client-portal/config
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(http => 'portal_logo_root %%DIR%%/html;');
my $ws = $t->workspace;
my $path = '/api/v1/client-portal/config';
my @members = qw(portal_name portal_logo primary_color secondary_color welcome_message enabled_modules is_active
    allow_file_sharing show_activity_feed token_expiration_days);
my $defaults = { portal_name => 'Client Portal', portal_logo => undef, primary_color => '#3B82F6',
    secondary_color => '#1E40AF', welcome_message => 'Welcome to your client portal!',
    enabled_modules => [qw(invoices proposals tasks)], is_active => true, allow_file_sharing => true,
    show_activity_feed => true, token_expiration_days => 30 };

# each token has 60 calls a minute; this file makes more
my ($token, $calls) = (undef, 60);
sub token { ($token, $calls) = ($t->token($ws, 'client_portal:write'), 0) if ++$calls > 50; $token }
sub config { $t->get($path, token => token(), @_) }
sub change { my ($json) = @_; $t->patch($path, token => token(), json => $json) }

subtest 'the defaults' => sub {
    my $response = config();
    is_answer($response, 200, { data => $defaults });
    is_deeply([keys_of($response)], ['data'], 'data alone');
    is_deeply([keys_of($response, 'data')], \@members, 'members in order');
    is($response->header('Content-Type'), 'application/json', 'type');
    like($response->content, qr/"is_active":true/, 'booleans');
    is($response->header('X-Content-Type-Options'), 'nosniff', 'nosniff');
    like($response->header('X-Request-ID'), qr/^[0-9a-f]{32}$/, 'request id');
};

subtest 'read scope reads and does not write' => sub {
    my $reader = $t->token($ws, 'client_portal:read');
    is_status($t->get($path, token => $reader), 200);
    is_answer($t->patch($path, token => $reader, json => { portal_name => 'x' }), 403,
        '{"message":"This action is unauthorized."}');
    is_answer($t->get($path, token => $t->token($ws, 'customers:read')), 403,
        '{"message":"This action is unauthorized."}', 'another scope');
};

subtest 'ETag' => sub {
    my $etag = config()->header('ETag');
    like($etag, qr/^"[^"]+"$/, 'strong');
    for my $value ($etag, "W/$etag", "\"x\", $etag", '*') {
        my $response = config(headers => { 'If-None-Match' => $value });
        is_answer($response, 304, '', $value);
        is($response->header('ETag'), $etag, 'and the tag');
        is($response->header('Content-Type'), undef, 'no type');
    }
    is_status(config(headers => { 'If-None-Match' => '"x"' }), 200, 'another tag');
    is_status(change({ portal_name => 'Tagged' }), 200);
    my $response = config(headers => { 'If-None-Match' => $etag });
    is_status($response, 200, 'after a change');
    isnt($response->header('ETag'), $etag, 'another tag now');
    change({ portal_name => 'Client Portal' });
    is(config()->header('ETag'), $etag, 'and back');
};

subtest 'a change is answered whole and seen by every worker within a second' => sub {
    my $response = change({ portal_name => 'Müller & Söhne <b>' });
    is_answer($response, 200, { data => { %$defaults, portal_name => 'Müller & Söhne <b>' } });
    is_deeply([keys_of($response, 'data')], \@members, 'in order');
    my $fresh = sub {
        my @names = map { json_of($_)->{data}{portal_name} } $t->at_once(($t->bytes(GET => $path, token => token())) x 8);
        return 8 == grep { $_ eq 'Müller & Söhne <b>' } @names;
    };
    ok($t->wait_for($fresh, 1, 0.3), 'everywhere');
    $calls = 60;
    $t->db->do(q(UPDATE portal.client_portal_configs SET portal_name = 'By SQL' WHERE workspace_id = ?), undef, $ws->{id});
    ok($t->wait_for(sub { json_of(config())->{data}{portal_name} eq 'By SQL' }, 1.2, 0.2), 'by SQL too');
    is_status(change({ portal_name => 'Client Portal' }), 200);
};

subtest 'an empty change changes nothing' => sub {
    is_answer(change({}), 200, { data => $defaults });
    is_answer(change({ nonsense => 1 }), 200, { data => $defaults }, 'unknown members');
};

subtest 'values at their edges' => sub {
    my @good = ([primary_color => '#1a2b3c'], [primary_color => '#000000'], [secondary_color => '#FFFFFF'],
        [token_expiration_days => 1], [token_expiration_days => 3650], [enabled_modules => []],
        [enabled_modules => [qw(invoices proposals contracts tasks projects tickets files)]], [is_active => false],
        [is_active => true], [allow_file_sharing => false], [show_activity_feed => false],
        [portal_logo => 'portal-logos/logo.png'], [portal_logo => 'https://example.com/logo.png'], [portal_logo => 'HTTPS://example.com/logo.png'], [portal_logo => undef],
        [welcome_message => 'Grüß Gott'], [welcome_message => ''], [welcome_message => 'ü' x 2000], [portal_name => 'ü' x 256], [portal_name => 'P'],
        [portal_logo => 'https://example.com/' . 'a' x 2063]);
    for (@good) {
        my ($field, $value) = @$_;
        my $response = change({ $field => $value });
        is_status($response, 200, $field);
        is_deeply(json_of($response)->{data}{$field}, $value, 'is taken');
    }
    my @bad = ([primary_color => '#12345'], [primary_color => '#1234567'], [primary_color => '123456'],
        [primary_color => '#12345g'], [primary_color => 'red'], [primary_color => 5], [primary_color => undef],
        [secondary_color => "#123456\n"], [token_expiration_days => 0], [token_expiration_days => 3651],
        [token_expiration_days => -1], [token_expiration_days => '30'], [token_expiration_days => 1.5],
        [enabled_modules => ['nonsense']], [enabled_modules => 'invoices'], [enabled_modules => [1]],
        [enabled_modules => undef], [is_active => 'yes'], [is_active => 1], [is_active => undef],
        [allow_file_sharing => 'x'], [show_activity_feed => []], [portal_name => 5], [portal_name => undef],
        [portal_name => ''], [portal_name => 'ü' x 257], [welcome_message => 'ü' x 2001], [portal_logo => 'https://example.com/' . 'a' x 2064],
        [portal_logo => ''], [welcome_message => 5], [portal_logo => 5], [portal_logo => '../../etc/passwd'],
        [portal_logo => '/etc/passwd'], [portal_logo => 'http://example.com/logo.png'],
        [portal_logo => 'javascript:alert(1)'], [portal_logo => 'a/../../b'],
        map { [portal_logo => "logo$_.png"], [portal_logo => "https://example.com/logo$_.png"] } "\n", "\x7f", "\x{85}", "\x{2028}");
    for (@bad) {
        my ($field, $value) = @$_;
        my $response = change({ $field => $value });
        my $name = "$field " . JSON::XS->new->allow_nonref->encode($value);
        is_status($response, 422, $name);
        my $body = json_of($response);
        is($body->{message}, 'The given data was invalid.', 'message');
        is_deeply([map { s/\..*//r } keys %{ $body->{errors} }], [$field], 'the field');
        is_deeply([grep { ref || !length } map { @$_ } values %{ $body->{errors} }], [], 'sentences');
    }
    change($defaults);
};

subtest 'every problem at once, and nothing changed' => sub {
    my $response = change({ primary_color => 'red', token_expiration_days => 0, portal_name => 'Half' });
    is_status($response, 422);
    is_deeply([sort keys %{ json_of($response)->{errors} }], [qw(primary_color token_expiration_days)], 'both');
    is(json_of(config())->{data}{portal_name}, 'Client Portal', 'whole or not at all');
};

subtest 'a colour that is hard to read is taken with a warning' => sub {
    my $response = change({ primary_color => '#FFFF00' });
    is_status($response, 200);
    is_deeply([keys_of($response)], [qw(data warnings)], 'warnings beside data');
    is(scalar @{ json_of($response)->{warnings} }, 1, 'one');
    is(json_of(change({ primary_color => '#3B82F6' }))->{warnings}, undef, 'none for one that is not');
};

subtest 'other methods' => sub {
    my $response = $t->post($path, token => token(), json => {});
    is_answer($response, 405, { message => 'Method Not Allowed' });
    is_deeply([sort split /,\s*/, $response->header('Allow') // ''], [qw(GET HEAD OPTIONS PATCH)], 'Allow');
};

$t->done;
