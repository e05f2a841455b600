# POST /api/member-sessions/: a link for one member of a customer.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace(slug => 'club', member_model => 1);
my $token = $t->token($ws, 'member_sessions:write');
my $path = '/api/member-sessions/';
my $team = $t->customer($ws, type => 'team');
my $owner = $t->member($team, email => 'o+wner@example.com');

subtest 'the answer' => sub {
    my $response = $t->post($path, token => $token, json => { member_id => $owner->{id}, return_url => 'https://example.com/' });
    is_status($response, 201);
    is_deeply([keys_of($response)], [qw(id created_at modified_at token expires_at return_url member_portal_url
        member_id member customer_id customer)], 'members in order');
    my $body = json_of($response);
    like($body->{token}, qr/^portal_mst_[A-Za-z0-9_-]{48}$/, 'token');
    is($body->{return_url}, 'https://example.com/', 'return_url');
    is($body->{member_id}, $owner->{id}, 'member_id');
    is($body->{member}{id}, $owner->{id}, 'member');
    is($body->{member}{email}, 'o+wner@example.com', 'its e-mail');
    is($body->{customer_id}, $team->{id}, 'customer_id');
    is($body->{customer}{id}, $team->{id}, 'customer');
    is($body->{member_portal_url}, $t->base_url . "/club/portal?customer_session_token=$body->{token}"
        . '&email=o%2Bwner%40example.com', 'link');
};

sub refused {
    my ($json, $type, $field, $msg, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    subtest $name => sub {
        my $response = $t->post($path, token => $token, json => $json);
        is_status($response, 422);
        my $list = json_of($response)->{detail};
        is(scalar @$list, 1, 'one problem');
        is_deeply($list->[0]{loc}, ['body', $field], 'loc');
        is($list->[0]{type}, $type, 'type') if defined $type;
        is($list->[0]{msg}, $msg, 'msg') if defined $msg;
    };
}

my $gone = $t->member($team, role => 'member', deleted_at => '2024-01-01');
my $orphan = $t->member($t->customer($ws, type => 'team', deleted_at => '2024-01-01'));
my $foreign = $t->member($t->customer($t->workspace(member_model => 1)));
refused({}, 'missing', 'member_id', 'Field required', 'no member_id');
refused({ member_id => 'x' }, 'uuid_parsing', 'member_id', undef, 'no uuid');
refused({ member_id => '8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001' }, 'uuid_version', 'member_id', 'UUID version 4 expected', 'version 1');
refused({ member_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001' }, 'value_error', 'member_id', 'Member does not exist.', 'unknown');
refused({ member_id => $gone->{id} }, 'value_error', 'member_id', 'Member does not exist.', 'removed');
refused({ member_id => $orphan->{id} }, 'value_error', 'member_id', 'Member does not exist.', 'of a deleted customer');
refused({ member_id => $foreign->{id} }, 'value_error', 'member_id', 'Member does not exist.', 'of another workspace');
refused({ member_id => $owner->{id}, return_url => 'ftp://x/' }, 'url_scheme', 'return_url', undef, 'return_url');
refused({ member_id => $owner->{id}, expires_in => 59 }, 'greater_than_equal', 'expires_in', undef, 'too short a life');
refused({ member_id => $owner->{id}, expires_in => 3601 }, 'less_than_equal', 'expires_in', undef, 'too long a life');
refused({ member_id => $owner->{id}, return_url => 'https://example.com/' . 'a' x 2064 }, 'string_too_long', 'return_url', undef, '2084 characters');
for ({ expires_in => 60 }, { expires_in => 3600 }, { return_url => 'https://example.com/' . 'a' x 2063 }, { return_url => undef, expires_in => undef }) {
    is_status($t->post($path, token => $token, json => { member_id => $owner->{id}, %$_ }), 201, 'at its edge: ' . join ' ', sort keys %$_);
}

subtest 'without the member model' => sub {
    my $plain = $t->workspace;
    my $response = $t->post($path, token => $t->token($plain, 'member_sessions:write'), json => { member_id => $owner->{id} });
    is_status($response, 403);
    is(json_of($response)->{error}, 'NotPermitted', 'not permitted');
    ok(length json_of($response)->{detail}, 'a sentence');
};

subtest 'the scope is its own' => sub {
    my $response = $t->post($path, token => $t->token($ws, 'customer_sessions:write'), json => { member_id => $owner->{id} });
    is_answer($response, 403, '{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token."}');
    like($response->header('WWW-Authenticate'), qr/scope="member_sessions:write"/, 'scope is named');
};

$t->done;
