# Nothing of one workspace is visible, or changed, from another.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my ($mine, $theirs) = map { $t->workspace(member_model => 1) } 1 .. 2;
my ($token, $other) = map { $t->token($_) } $mine, $theirs;
my $client = '/api/v1/client-portal';

# the same numbers and external ids on both sides
my %row;
for my $ws ($mine, $theirs) {
    my $name = $ws == $mine ? 'mine' : 'theirs';
    my $customer = $t->customer($ws, external_id => 'c-1', email => 'same@example.com', name => $name);
    $row{$name} = { customer => $customer, member => $t->member($customer, external_id => 'm-1', email => "$name\@example.com"),
        contact => $t->contact($ws, id => 1, name => $name, email => "$name-contact\@example.com"),
        company => $t->company($ws, id => 1, name => $name, email => "$name-company\@example.com") };
}

subtest 'external ids are the caller\'s' => sub {
    for ([$token, 'mine'], [$other, 'theirs']) {
        my ($bearer, $name) = @$_;
        my $body = json_of($t->post('/api/customer-sessions/', token => $bearer, json => { external_customer_id => 'c-1',
            external_member_id => 'm-1' }));
        is($body->{customer}{name}, $name, $name);
        is($body->{customer}{workspace_id}, ($name eq 'mine' ? $mine : $theirs)->{id}, 'workspace');
    }
};

subtest 'row ids of another are unknown' => sub {
    my $foreign = $t->post('/api/customer-sessions/', token => $token, json => { customer_id => $row{theirs}{customer}{id} });
    my $unknown = $t->post('/api/customer-sessions/', token => $token, json => { customer_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001' });
    is_status($foreign, 422);
    my ($a, $b) = map { $_->content =~ s/[0-9a-f-]{36}/ID/gr } $foreign, $unknown;
    is($a, $b, 'answered exactly as one that is not');
    is_status($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $row{mine}{customer}{id},
        member_id => $row{theirs}{member}{id} }), 422, 'a foreign member');
    is_status($t->post('/api/member-sessions/', token => $token, json => { member_id => $row{theirs}{member}{id} }), 422, 'again');
};

subtest 'configuration' => sub {
    is_status($t->patch("$client/config", token => $token, json => { portal_name => 'Mine' }), 200);
    is(json_of($t->get("$client/config", token => $token))->{data}{portal_name}, 'Mine', 'mine');
    is(json_of($t->get("$client/config", token => $other))->{data}{portal_name}, 'Client Portal', 'theirs is as it was');
};

subtest 'contacts and companies of the same number' => sub {
    my ($a, $b) = map { json_of($t->post("$client/token", token => $_, json => { type => 'contact', id => 1 })) } $token, $other;
    isnt($a->{token}, $b->{token}, 'each its own token');
    is_status($t->delete("$client/token", token => $token, json => { type => 'contact', id => 1 }), 204);
    is(json_of($t->post("$client/token", token => $other, json => { type => 'contact', id => 1 }))->{token}, $b->{token}, 'theirs lives');
    is_status($t->post("$client/contacts/1/invite", token => $token), 200);
    my ($mail) = $t->mails(1);
    is_deeply($mail->{headers}{'x-rcptto'}, ['mine-contact@example.com'], 'mailed to mine');
};

subtest 'invitations' => sub {
    my $response = $t->post("$client/companies/1/invite", token => $other, headers => { Prefer => 'respond-async' });
    my $path = $response->header('Location') =~ s{^https?://[^/]+}{}r;
    is_status($t->get($path, token => $other), 200, 'its own');
    is_status($t->get($path, token => $token), 404, 'a foreign one is unknown');
};

subtest 'ending sessions' => sub {
    my $session = json_of($t->post('/api/customer-sessions/', token => $other, json => { external_customer_id => 'c-1' }));
    is_status($t->delete("/api/customer-sessions/$session->{id}", token => $token), 404);
    is_answer($t->delete("/api/customer-sessions/?customer_id=$row{theirs}{customer}{id}", token => $token), 200, '{"revoked":0}');
    is($t->value('SELECT count(*) FROM portal.member_sessions WHERE id = ? AND revoked_at IS NULL', $session->{id}), 1, 'it lives');
};

$t->done;
