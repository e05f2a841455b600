# /api/workspaces/{id}: a token's own workspace, and no other.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;
use WrongCallers;

my $t = PortalTest->new;
my ($acme, $other) = map { $t->workspace } 1 .. 2;
my $token = $t->token($acme);
my $path = "/api/workspaces/$acme->{id}";
my $not_found = '{"error":"ResourceNotFound","detail":"Not found"}';
my @members = qw(id created_at modified_at slug name avatar_url feature_settings customer_portal_settings mail_from_name
    mail_reply_to return_hosts share_url blocked_at);
sub change { my (%json) = @_; $t->patch($path, token => $token, json => \%json) }
sub refusals { [map { "$_->{type} at " . join('.', @{ $_->{loc} }) } @{ json_of($_[0])->{detail} // [] }] }

subtest 'shown' => sub {
    my $response = $t->get($path, token => $token);
    is_status($response, 200);
    is_deeply([keys_of($response)], \@members);
    my $body = json_of($response);
    is_deeply([@$body{qw(id slug name modified_at return_hosts customer_portal_settings)}],
        [$acme->{id}, $acme->{slug}, $acme->{name}, undef, [], {}]);
    is_deeply($body->{feature_settings}, { member_model_enabled => false });
    is_status($t->get($path . '/', token => $token), 200, 'with a slash');
};

subtest 'changed' => sub {
    my %new = (name => 'Acme Ltd', avatar_url => 'https://example.org/a.png', mail_from_name => 'Acme', mail_reply_to => 'help@EXAMPLE.com',
        return_hosts => ['Example.org', 'localhost:3000'], share_url => 'HTTPS://example.org/s/{short_slug}', customer_portal_settings => { theme => 'dark' });
    my $response = change(%new);
    is_status($response, 200);
    is_deeply([keys_of($response)], \@members);
    my $body = json_of($response);
    is_deeply([@$body{qw(name avatar_url mail_from_name mail_reply_to return_hosts share_url customer_portal_settings)}],
        ['Acme Ltd', 'https://example.org/a.png', 'Acme', 'help@example.com', ['example.org', 'localhost:3000'], 'HTTPS://example.org/s/{short_slug}', { theme => 'dark' }]);
    ok($body->{modified_at}, 'modified_at');
    is_answer($t->get($path, token => $token), 200, $body, 'and stays so');
    is(json_of(change(avatar_url => 'Http://example.org/a.png'))->{avatar_url}, 'Http://example.org/a.png', 'a scheme in any case');
    is(json_of(change())->{name}, 'Acme Ltd', 'what is absent stays');
    is(json_of(change(slug => 'other', blocked => true, blocked_at => '2026-01-01T00:00:00Z'))->{slug}, $acme->{slug}, 'the slug is not its to change, nor the block');
    is($t->value('SELECT blocked_at FROM portal.workspaces WHERE id = ?', $acme->{id}), undef);
    $body = json_of(change(map { $_ => undef } grep { $_ ne 'name' } keys %new));
    is_deeply([@$body{qw(avatar_url mail_from_name mail_reply_to return_hosts share_url customer_portal_settings)}],
        [undef, undef, undef, [], undef, {}], 'null removes');
};

subtest 'return hosts' => sub {
    my $customer = $t->customer($acme);
    my $session = sub { $t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id}, return_url => "https://$_[0]/" })->code };
    is($session->('anything.example'), 201, 'any');
    change(return_hosts => ['shop.example']);
    is($session->('anything.example'), 422, 'only the listed');
    is($session->('shop.example'), 201, 'which is one');
};

subtest 'refused' => sub {
    is_deeply(refusals(change(mail_from_name => "Acme$_")), ['value_error at body.mail_from_name'], sprintf 'U+%04X', ord) for "\n", "\x{9f}", "\x{2028}";
    is_deeply(refusals(change(name => '', avatar_url => 'ftp://example.org', mail_from_name => "a\nb", mail_reply_to => 'x', share_url => 'x',
        return_hosts => ['https://example.org/'], customer_portal_settings => [], feature_settings => { member_model_enabled => 'yes' })),
        ['string_too_short at body.name', 'url_scheme at body.avatar_url', 'value_error at body.mail_from_name', 'value_error at body.mail_reply_to',
         'url_parsing at body.share_url', 'value_error at body.return_hosts', 'dict_type at body.customer_portal_settings',
         'bool_type at body.feature_settings.member_model_enabled'], 'every problem');
    is_deeply(refusals(change(name => undef, feature_settings => [])), ['string_type at body.name', 'model_attributes_type at body.feature_settings']);
    is_deeply(refusals(change(name => 'x' x 257)), ['string_too_long at body.name']);
    is_deeply(refusals($t->patch('/api/workspaces/x', token => $token, json => { name => '' })), ['uuid_parsing at path.id', 'string_too_short at body.name'],
        "the path's and the body's");
    is_status(change(name => 'x' x 256), 200, 'the edge');
};

subtest 'the member model, everywhere within a second' => sub {
    my $customer = $t->customer($acme, type => 'individual', email => 'owner@example.com');
    my $kind = sub { json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }))->{token} =~ /_(\w{3})_/ ? $1 : '' };
    is($kind->(), 'cst', 'off');
    is_deeply(json_of(change(feature_settings => { member_model_enabled => true }))->{feature_settings}, { member_model_enabled => true }, 'on');
    is($kind->(), 'mst', 'sessions are members\'');
    is_deeply(json_of(change(feature_settings => {}))->{feature_settings}, { member_model_enabled => true }, 'an empty object changes nothing');
    change(feature_settings => { member_model_enabled => false });
    is($kind->(), 'cst', 'off again');
    # every worker, by the variable the site's own locations see
    my $member = $t->row('SELECT * FROM portal.members WHERE customer_id = ?', $customer->{id});
    is_status($t->post('/api/member-sessions/', token => $token, json => { member_id => $member->{id} }), 403, 'no member sessions');
    change(feature_settings => { member_model_enabled => true });
    is_status($t->post('/api/member-sessions/', token => $token, json => { member_id => $member->{id} }), 201, 'member sessions');
};

subtest 'another workspace' => sub {
    for my $id ($other->{id}, '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001') {
        is_answer($t->get("/api/workspaces/$id", token => $token), 404, $not_found, 'unknown');
        is_answer($t->patch("/api/workspaces/$id", token => $token, json => { name => 'x' }), 404, $not_found, 'unknown');
    }
    is_status($t->get('/api/workspaces/nonsense', token => $token), 422, 'no id');
    is_answer($t->get('/api/workspaces/', token => $token), 404, '{"detail":"Not Found"}', 'no list');
    is($t->value('SELECT name FROM portal.workspaces WHERE id = ?', $other->{id}), $other->{name}, 'as it was');
};

my $wrong = WrongCallers->new($t, $acme);
$wrong->refused(GET => $path, 'workspaces:read');
$wrong->refused(PATCH => $path, 'workspaces:write', json => { name => 'x' });

$t->done;
