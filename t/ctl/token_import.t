# portalctl token import: tokens of a system being replaced go on working.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my $contact = $t->contact($ws);
my $company = $t->company($ws);
my @where = ('--workspace', $ws->{slug});
sub import_lines { my ($lines, @options) = @_; $t->ctl_run(qw(token import), @where, @options, $t->write_file('import', $lines)) }
sub stored { join ' ', map { $t->value("SELECT count(*) FROM portal.$_") } qw(workspace_access_tokens client_portal_tokens) }
sub works { my ($token) = @_; $t->get('/api/v1/client-portal/config', token => $token)->code }

subtest 'one a line' => sub {
    my ($code, $both, $out) = import_lines("old_token_number_1\n\n  \nold_token_number_2\r\n", qw(--scope client_portal:read --comment old --json));
    is($code, 0) or diag $both;
    is_deeply(json_of($out), { workspace_access_tokens => 2, client_portal_tokens => 0 });
    is(works("old_token_number_$_"), 200, "number $_ works") for 1 .. 2;
    my $row = $t->row("SELECT * FROM portal.workspace_access_tokens WHERE workspace_id = ? LIMIT 1", $ws->{id});
    is_deeply([@$row{qw(comment scopes expires_at secret_id)}], ['old', ['client_portal:read'], undef, 'k1']);
    like($row->{token_hash}, qr/^[0-9a-f]{64}$/, 'only a hash is stored');
    is_status($t->patch('/api/v1/client-portal/config', token => 'old_token_number_1', json => {}), 403, 'within its scopes');
};

subtest 'JSON lines' => sub {
    my $id = '9b2d8a0e-7f1c-4b7e-8a53-0d6f7f8a9b10';
    my ($code, $both) = import_lines(<<"E", qw(--expires-in 30d));
{"token": "json_access_1", "scopes": ["client_portal:read", "customers:read"], "comment": "büro", "id": "$id", "created_at": "2020-01-02T03:04:05.5+01:00", "expires_at": "2099-01-01T00:00:00Z"}
{"token": "json_access_2", "kind": "access_token", "scopes": ["client_portal:read"], "expires_in": 3600}
{"token": "json_portal_1", "contact_id": $contact->{id}}
{"token": "json_portal_2", "kind": "portal_token", "company_id": $company->{id}, "expires_at": "2098-01-01T00:00:00.000Z", "contact_id": null}
E
    is($code, 0) or diag $both;
    like($both, qr/^Imported 2 access tokens and 2 portal tokens\.$/m, 'for people');
    is(works("json_access_$_"), 200, "access token $_ works") for 1 .. 2;
    my $row = $t->row("SELECT *, created_at = '2020-01-02T02:04:05.5Z' AS kept FROM portal.workspace_access_tokens WHERE id = ?", $id);
    is_deeply([@$row{qw(comment scopes)}], ['büro', [qw(client_portal:read customers:read)]]);
    ok($row->{kept}, 'id and time are kept');
    is($t->value("SELECT extract(epoch FROM expires_at - date_trunc('second', created_at)) FROM portal.workspace_access_tokens WHERE comment = '' AND workspace_id = ?", $ws->{id}), '3600.000000', 'the line before the option');
    is($t->value("SELECT extract(epoch FROM expires_at - date_trunc('second', created_at)) / 86400 FROM portal.client_portal_tokens WHERE contact_id = ?", $contact->{id}) + 0, 30, 'the option');
    # a portal token is known, if of the wrong kind for this route
    unlike($t->post('/api/customer-sessions/', token => "json_portal_$_", json => {})->header('WWW-Authenticate'), qr/invalid_token/, "portal token $_ is known") for 1 .. 2;
    is($t->value("SELECT count(*) FROM portal.events WHERE type = 'client_portal.token_created'"), 0, 'nothing is announced');

    my $token = $t->token($ws);
    $t->patch('/api/v1/client-portal/config', token => $token, json => { token_expiration_days => 3 });
    import_lines(qq({"token": "json_portal_3", "contact_id": $contact->{id}}\n), '--announce');
    is($t->value("SELECT count(*) FROM portal.events WHERE type = 'client_portal.token_created'"), 1, 'unless told to');
    is($t->value("SELECT count(*) FROM portal.client_portal_tokens WHERE contact_id = ? AND expires_at BETWEEN now() + interval '71 h' AND now() + interval '73 h'", $contact->{id}), 1, 'without an end, the tenant\'s days');
    like(json_of($t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => $contact->{id} + 0 }))->{token},
        qr/^portal_cpt_/, 'what was imported cannot be shown again: a new link is made');
};

subtest 'all or none, with the line' => sub {
    my $theirs = $t->contact($other, id => 4711);
    my $own = $t->token($other, 'customers:read');
    my $forged = $own =~ s/(.)$/$1 eq 'A' ? 'B' : 'A'/er;
    my $before = stored();
    my $secret = 'never_seen_in_an_error';
    my $json = sub { qq({"token": "$secret", "scopes": ["customers:read"], $_[0]}) };
    my %cases = (
        'known already' => ['old_token_number_1', qr/this token is known already/],
        'known in another workspace' => [qq({"token": "$own", "scopes": ["customers:read"]}), qr/known already/],
        'known as another kind' => ['json_portal_1', qr/known already/],
        'twice' => ['a_good_token_0', qr/the same token as on line 1/],
        'of our form, of another secret' => [$forged, qr/has the form of ours/],
        'of our form, of another kind' => [qq({"token": "$own", "contact_id": $contact->{id}}), qr/form of another kind/],
        'too short' => ['short', qr/8 to 512/], 'too long' => ['x' x 513, qr/8 to 512/], 'a blank' => ['two words here', qr/no blank/],
        'not ASCII' => ['passwörter', qr/printable ASCII/],
        'no JSON' => [qq({"token": "$secret"), qr/is no JSON object/], 'no token' => ['{"scopes": ["customers:read"]}', qr/token: Field required/],
        'a token that is none' => ['{"token": 5, "scopes": ["customers:read"]}', qr/token: Input should be a valid string/],
        'an unknown member' => [$json->('"expires": 5'), qr/has a member that is not known/],
        'an unknown scope' => [qq({"token": "$secret", "scopes": ["nonsense"]}), qr/scopes: Input should be/],
        'no scope' => [qq({"token": "$secret", "scopes": []}), qr/scopes: A token needs/],
        'an unknown kind' => [$json->('"kind": "customer"'), qr/kind: Input should be 'access_token' or 'portal_token'/],
        'no addressee' => [qq({"token": "$secret", "kind": "portal_token"}), qr/either a contact or a company/],
        'two addressees' => [qq({"token": "$secret", "contact_id": 1, "company_id": 1}), qr/either a contact or a company/],
        'an access token with one' => [$json->('"kind": "access_token", "contact_id": 1'), qr/contact_id: An access token has no addressee/],
        'a portal token with scopes' => [$json->('"contact_id": 1'), qr/scopes: A portal token has none/],
        'a foreign contact' => [qq({"token": "$secret", "contact_id": $theirs->{id}}), qr/contact_id: Contact not found/],
        'no such company' => [qq({"token": "$secret", "company_id": 4711}), qr/company_id: Company not found/],
        'no time' => [$json->('"expires_at": "2099-02-30T00:00:00Z"'), qr/expires_at: Input should be a time/],
        'no zone' => [$json->('"created_at": "2099-02-03T00:00:00"'), qr/created_at: Input should be a time/],
        'over' => [$json->('"expires_at": "2020-01-01T00:00:00Z"'), qr/expires_at is over/],
        'both ends' => [$json->('"expires_at": "2099-01-01T00:00:00Z", "expires_in": 5'), qr/expires_in: Either/],
        'an id that is taken' => [$json->('"id": "9b2d8a0e-7f1c-4b7e-8a53-0d6f7f8a9b10"'), qr/this id is taken/],
        'no id' => [$json->('"id": "7"'), qr/id: Input should be a valid UUID/],
    );
    for my $name (sort keys %cases) {
        my ($line, $pattern) = @{ $cases{$name} };
        my ($code, $both) = import_lines("a_good_token_0\n\n$line\nanother_good_token\n", qw(--scope client_portal:read));
        is($code, 1, $name) or diag $both;
        like($both, qr/^portalctl: line 3: .*$pattern.* \(nothing was imported\)$/m, "$name: line and reason");
        unlike($both, qr/\Q$secret\E|\Q$line\E/, "$name: quotes nothing");
    }
    is(stored(), $before, 'nothing is stored');
    is(works('a_good_token_0'), 401, 'nor works');
    my ($code, $both) = import_lines("a_good_token_0\n");
    is($code, 1, 'no scope anywhere');
    like($both, qr/line 1: scopes: A token needs at least one scope/);
    is(($t->ctl_run(qw(token import), @where, '/nonexistent'))[0], 1, 'no file');
    is(($t->ctl_run(qw(token import), @where, $t->dir))[0], 1, 'a directory');
    is(($t->ctl_run(qw(token import), @where))[0], 2, 'none named');
};

subtest 'many, from standard input' => sub {
    my $config = $t->dir . '/portal.toml';
    my $lines = $t->write_file('many', join '', map { "many_tokens_$_\n" } 1 .. 20_000);
    my ($code, $both) = $t->run('ctl', 'sh', '-c', PortalTest::build() . "/portalctl --config $config token import -w $ws->{slug} --scope client_portal:read - < $lines");
    is($code, 0) or diag $both;
    like($both, qr/Imported 20000 access tokens/);
    is(works('many_tokens_20000'), 200, 'the last works');
};

unlike($t->log_text($_), qr/old_token_number|json_(?:access|portal)_|many_tokens/, "$_ names no token") for qw(postgres.log helper.log error.log);
$t->done;
