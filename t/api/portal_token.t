# POST and DELETE /api/v1/client-portal/token
use strict; use warnings; use utf8;
use Test::More;
use Time::Local qw(timegm);
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace;
my $other = $t->workspace;
my $path = '/api/v1/client-portal/token';
my $contact = $t->contact($ws);
my $company = $t->company($ws);
my ($token, $calls) = (undef, 60);
sub token { ($token, $calls) = ($t->token($ws, 'client_portal:write'), 0) if ++$calls > 50; $token }
sub ask  { my ($json) = @_; $t->post($path, token => token(), json => $json) }
sub drop { my ($json) = @_; $t->delete($path, token => token(), json => $json) }
sub epoch { my ($y, $m, $d, $h, $i, $s) = $_[0] =~ /(\d+)/g; timegm($s, $i, $h, $d, $m - 1, $y) }
sub live { $t->value("SELECT count(*) FROM portal.client_portal_tokens WHERE $_[0]_id = ? AND workspace_id = ? AND revoked_at IS NULL", $_[1], $ws->{id}) }

subtest 'get or create' => sub {
    for (['contact', $contact], ['company', $company]) {
        my ($type, $row) = @$_;
        my $response = ask({ type => $type, id => $row->{id} });
        is_status($response, 200);
        is_deeply([keys_of($response)], [qw(token url expires_at)], 'members');
        my $body = json_of($response);
        like($body->{token}, qr/^portal_cpt_[A-Za-z0-9_-]{48}$/, 'token');
        is($body->{url}, $t->base_url . "/client-portal/$body->{token}", 'url');
        like($body->{expires_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'whole seconds');
        cmp_ok(abs(epoch($body->{expires_at}) - time - 30 * 86400), '<', 10, 'thirty days');
        is_answer(ask({ type => $type, id => $row->{id} }), 200, $body, 'the same again');
        my $stored = $t->row("SELECT * FROM portal.client_portal_tokens WHERE ${type}_id = ?", $row->{id});
        unlike(join(' ', map { $_ // '' } values %$stored), qr/\Q$body->{token}/, 'stored only as hash and ciphertext');
    }
    is(json_of(ask({ type => 'contact', id => $contact->{id}, rotate => false }))->{token},
        json_of(ask({ type => 'contact', id => $contact->{id} }))->{token}, 'rotate false is the default');
};

subtest 'twenty at once get one token' => sub {
    my $one = $t->contact($ws);
    my @tokens = map { json_of($_)->{token} // $_->as_string }
        $t->at_once(($t->bytes(POST => $path, token => token(), json => { type => 'contact', id => $one->{id} })) x 20);
    is(scalar keys %{ { map { $_ => 1 } @tokens } }, 1, 'the same') or diag explain \@tokens;
    is(live(contact => $one->{id}), 1, 'one row');
    $calls += 20;
};

subtest 'its life is the tenant\'s, and its own once made' => sub {
    is_status($t->patch('/api/v1/client-portal/config', token => token(), json => { token_expiration_days => 3 }), 200);
    my $one = $t->contact($ws);
    my $body = json_of(ask({ type => 'contact', id => $one->{id} }));
    cmp_ok(abs(epoch($body->{expires_at}) - time - 3 * 86400), '<', 10, 'three days');
    $t->patch('/api/v1/client-portal/config', token => token(), json => { token_expiration_days => 30 });
    is(json_of(ask({ type => 'contact', id => $one->{id} }))->{expires_at}, $body->{expires_at}, 'as it was');
    $t->db->do(q(UPDATE portal.client_portal_tokens SET expires_at = now() - interval '1s' WHERE contact_id = ?), undef, $one->{id});
    isnt(json_of(ask({ type => 'contact', id => $one->{id} }))->{token}, $body->{token}, 'an expired one is not told again');
};

subtest 'rotate' => sub {
    my $one = $t->contact($ws);
    my $first = json_of(ask({ type => 'contact', id => $one->{id} }));
    my $second = json_of(ask({ type => 'contact', id => $one->{id}, rotate => true }));
    isnt($second->{token}, $first->{token}, 'another token');
    is(live(contact => $one->{id}), 1, 'the old one is revoked');
    is(json_of(ask({ type => 'contact', id => $one->{id} }))->{token}, $second->{token}, 'and the new one stays');
};

subtest 'revoke' => sub {
    my $one = $t->company($ws);
    my $first = json_of(ask({ type => 'company', id => $one->{id} }));
    is_answer(drop({ type => 'company', id => $one->{id} }), 204, '');
    is(live(company => $one->{id}), 0, 'none lives');
    isnt(json_of(ask({ type => 'company', id => $one->{id} }))->{token}, $first->{token}, 'a new one after it');
    is_answer(drop({ type => 'contact', id => 999999 }), 404, '{"message":"Contact not found"}', 'unknown');
};

subtest 'a change of address or customer revokes' => sub {
    for my $change (q(email = 'new@example.com'), 'customer_id = ' . $t->db->quote($t->customer($ws)->{id}), 'deleted_at = now()') {
        my $one = $t->contact($ws);
        ask({ type => 'contact', id => $one->{id} });
        is(live(contact => $one->{id}), 1, 'one');
        $t->db->do("UPDATE portal.contacts SET $change WHERE workspace_id = ? AND id = ?", undef, $ws->{id}, $one->{id});
        is(live(contact => $one->{id}), 0, $change =~ s/ =.*//r);
    }
};

subtest 'addressees' => sub {
    my $mute = $t->contact($ws, email => undef);
    my $mute_company = $t->company($ws, email => undef);
    my $foreign = $t->contact($other, id => 777);
    is_answer(ask({ type => 'contact', id => $mute->{id} }), 400, '{"message":"Contact does not have an email address"}');
    is_answer(ask({ type => 'company', id => $mute_company->{id} }), 400, '{"message":"Company does not have an email address"}');
    is_answer(ask({ type => 'contact', id => $_ }), 404, '{"message":"Contact not found"}', $_) for 999999, $foreign->{id}, 9223372036854775807;
    is_answer(ask({ type => 'company', id => 999999 }), 404, '{"message":"Company not found"}');
    # the same number in two tenants is two addressees
    my $mine = $t->contact($ws, id => 555);
    my $theirs = $t->contact($other, id => 555);
    my $theirs_token = json_of($t->post($path, token => $t->token($other, 'client_portal:write'), json => { type => 'contact', id => 555 }))->{token};
    isnt(json_of(ask({ type => 'contact', id => 555 }))->{token}, $theirs_token, 'each its own');
};

subtest 'bad input' => sub {
    my @bad = ([{}, qw(id type)], [{ type => 'contact' }, 'id'], [{ id => $contact->{id} }, 'type'],
        [{ type => 'person', id => $contact->{id} }, 'type'], [{ type => 'Contact', id => $contact->{id} }, 'type'],
        [{ type => 5, id => $contact->{id} }, 'type'], [{ type => undef, id => undef }, qw(id type)],
        [{ type => 'contact', id => 0 }, 'id'], [{ type => 'contact', id => -1 }, 'id'],
        [{ type => 'contact', id => 'x' }, 'id'], [{ type => 'contact', id => 1.5 }, 'id'],
        [{ type => 'contact', id => [1] }, 'id'], [{ type => 'contact', id => true }, 'id'],
        [{ type => 'contact', id => $contact->{id}, rotate => 'x' }, 'rotate']);
    for (@bad) {
        my ($json, @fields) = @$_;
        for my $method (qw(POST DELETE)) {
            next if $method eq 'DELETE' && $json->{rotate};
            my $response = $t->request($method, $path, token => token(), json => $json);
            my $name = "$method " . JSON::XS->new->canonical->encode($json);
            is_status($response, 422, $name);
            my $body = json_of($response);
            is($body->{message}, 'The given data was invalid.', 'message');
            is_deeply([sort keys %{ $body->{errors} }], \@fields, 'fields');
        }
    }
    for my $id ('9223372036854775808', '-9223372036854775809', '1e3', '99999999999999999999999') {
        is_status($t->request($_, $path, token => token(), body => qq({"type":"contact","id":$id})), 422, "$_ $id") for qw(POST DELETE);
    }
    is_status($t->post($path, token => token()), 422, 'no body');
};

subtest 'an inactive portal' => sub {
    my $closed = $t->workspace;
    my $closed_token = $t->token($closed, 'client_portal:write');
    my $one = $t->contact($closed);
    $t->patch('/api/v1/client-portal/config', token => $closed_token, json => { is_active => false });
    my $response = $t->post($path, token => $closed_token, json => { type => 'contact', id => $one->{id} });
    is_status($response, 200, "is no obstacle: the contract speaks of invitations only");
};

subtest 'each disclosure of an existing token is an audit row' => sub {
    my $one = $t->contact($ws);
    my $count = sub { $t->value('SELECT count(*) FROM portal.audit_log WHERE workspace_id = ?', $ws->{id}) };
    ask({ type => 'contact', id => $one->{id} });
    my $before = $count->();
    ask({ type => 'contact', id => $one->{id} });
    is($count->(), $before + 1, 'one more');
};

$t->done;
