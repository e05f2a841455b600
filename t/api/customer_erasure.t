# DELETE /api/customers/{id}?anonymize=true wipes personal data everywhere it went, and nobody else's.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(helper => 0);
my $club = $t->workspace(member_model => 1);
my $token = $t->token($club);
my $path = '/api/customers/';
my $not_found = '{"error":"ResourceNotFound","detail":"Not found"}';

# every place the words of a person are in; the words are of this test alone
sub places {
    my ($word) = @_;
    my @found;
    my $tables = $t->db->selectcol_arrayref("SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'portal' AND c.relkind IN ('r', 'p') ORDER BY 1");
    for my $table (@$tables) {
        my $count = $t->value("SELECT count(*) FROM portal.$table row WHERE to_jsonb(row)::text ILIKE ?", "%$word%");
        push @found, $table if $count;
    }
    return join ' ', @found;
}

# a team with everything: events of three kinds, sessions, links, mail, keys
sub person {
    my ($word) = @_;
    my $made = json_of($t->post($path, token => $token, json => { email => "$word\@example.com", name => "Ms $word", type => 'team',
        external_id => "ext-$word", metadata => { likes => $word }, billing_address => { country => 'AD', line1 => "$word street" },
        owner => { email => "$word.owner\@example.com", name => $word, external_id => "m-$word" } },
        headers => { 'Idempotency-Key' => $word }));
    $t->patch("$path$made->{id}", token => $token, json => { name => "Mrs $word" });
    $t->db->do('UPDATE portal.customers SET billing_name = ? WHERE id = ?', undef, "$word Ltd", $made->{id});
    $t->post('/api/member-sessions/', token => $token, json => { member_id => $made->{members}[0]{id}, return_url => "https://example.org/$word" });
    $t->db->do('UPDATE portal.member_sessions SET device = ? WHERE customer_id = ?', undef, "$word phone", $made->{id});
    $t->post('/api/customer-portal/customer-session/request', json => { email => "$word.owner\@example.com", workspace_id => $club->{id} });
    my $contact = $t->contact($club, name => "Contact $word", email => "$word\@EXAMPLE.com", customer_id => $made->{id}, external_id => "c-$word");
    my $company = $t->company($club, name => 'Globex', email => "$word\@example.com", customer_id => $made->{id});
    my $colleague = $t->contact($club, name => 'Colleague', email => "colleague$made->{id}\@example.com", customer_id => $made->{id});
    $t->post('/api/portal-items', token => $token, json => { module => 'files', external_id => "photo-$_->{id}", title => "Photo of $word",
        status => 'new', contact_id => 0 + $_->{id}, amount_cents => 5, url => "https://example.org/$word", data => { file => "$word.jpg" } })
        for $contact, $colleague;
    my $item = $t->value('SELECT id FROM portal.portal_items WHERE contact_id = ?', $contact->{id});
    $t->patch("/api/portal-items/$item", token => $token, json => { title => "Another of $word" });
    $t->post('/api/file-sharing/sessions', token => $token, json => { customer_id => $made->{id}, title => "$word sings", file_name => "$word.mp3" });
    for (['contacts', $contact], ['companies', $company]) {
        $t->post("/api/v1/client-portal/$_->[0]/$_->[1]{id}/invite", token => $token, json => { custom_message => "Dear $word" },
            headers => { Prefer => 'respond-async' });
    }
    $t->db->do("UPDATE portal.outbox SET reply = ? WHERE payload->>'custom_message' = ?", undef, "550 <$word\@example.com> unknown", "Dear $word");
    return { %$made, contact => $contact, company => $company, colleague => $colleague };
}
my $gone = person('quetzalcoatl');
my $stays = person('huitzilopochtli');
my $numbers = $t->value('SELECT count(*) FROM portal.events');
like(places('quetzalcoatl'), qr/companies contacts customers events file_share_sessions .*login_challenges member_sessions members.* outbox portal_items/, 'it went everywhere');
my $others = places('huitzilopochtli');

subtest 'wiped' => sub {
    my $link = json_of($t->post('/api/v1/client-portal/token', token => $token, json => { type => "contact", id => 0 + $gone->{contact}{id} }))->{token};
    ok($link, "a link");
    my $session = $t->session($t->row('SELECT * FROM portal.members WHERE id = ?', $gone->{members}[0]{id}));
    is_answer($t->delete("$path$gone->{id}?anonymize=true", token => $token), 204, '');
    is(places('quetzalcoatl'), '', 'nothing is left');
    is(places('huitzilopochtli'), $others, "another's is as it was");
    is($t->value("SELECT count(*) FROM portal.events WHERE data::text LIKE '%huitzilopochtli%'"),
        $t->value("SELECT count(*) FROM portal.events WHERE audience->>'customer' = ? OR audience->>'contact' IN (?, ?)",
        $stays->{id}, map { $stays->{$_}{id} } qw(contact colleague)), 'its events, too');
    my $row = $t->row('SELECT * FROM portal.customers WHERE id = ?', $gone->{id});
    is($row->{email}, "anonymous-$gone->{id}\@anonymized.invalid", 'an address that is none');
    is_deeply([@$row{qw(name external_id billing_name billing_address metadata email_verified)}], [undef, undef, undef, undef, '{}', 0]);
    ok($row->{deleted_at}, 'deleted');
    is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ? AND deleted_at IS NULL', $gone->{id}), 0, 'no member lives');
    is(json_of($t->get($path, token => $session))->{error}, 'invalid_token', 'sessions are over');
    is(json_of($t->get($path, token => $link))->{error}, 'invalid_token', 'links are over');
    is($t->value("SELECT string_agg(state, ' ') FROM portal.outbox o JOIN portal.client_portal_tokens k ON k.id = o.token_id
        WHERE k.contact_id = ? OR k.company_id = ?", $gone->{contact}{id}, $gone->{company}{id}), 'failed failed', 'no more mail');
    is_deeply([@{ $t->row('SELECT * FROM portal.portal_items WHERE contact_id = ?', $gone->{contact}{id}) }{qw(title url data amount_cents status)}],
        ['Anonymized', undef, undef, 5, 'new'], 'an item still counts');
    is_deeply([@{ $t->row('SELECT * FROM portal.file_share_sessions WHERE customer_id = ?', $gone->{id}) }{qw(title file_name status)}],
        [undef, undef, 'created'], 'a file has no name');
    is($t->value("SELECT count(*) FROM portal.events WHERE type LIKE 'portal\\_item.%' AND jsonb_typeof(data->'title') <> 'string'"), 0, 'but an item a title');
    is($t->value('SELECT name FROM portal.companies WHERE id = ?', $gone->{company}{id}), 'Globex', 'a company is no person');
    is($t->value('SELECT name FROM portal.contacts WHERE id = ?', $gone->{colleague}{id}), 'Colleague', 'nor is a colleague this one');
    cmp_ok($t->value('SELECT count(*) FROM portal.events'), '>=', $numbers, 'no event is missing');
    my $event = $t->row("SELECT data->>'email' AS email, data->>'id' AS id FROM portal.events WHERE audience->>'customer' = ? AND type = 'customer.created'", $gone->{id});
    is_deeply($event, { email => 'anonymous@anonymized.invalid', id => $gone->{id} }, 'what happened is kept, of whom is not');
    is($t->value("SELECT count(*) FROM portal.events WHERE audience->>'customer' = ? AND type = 'customer.deleted'", $gone->{id}), 1, 'deleted, told once');
    is_answer($t->delete("$path$gone->{id}?anonymize=true", token => $token), 404, $not_found, 'once');
    is_answer($t->get("$path$gone->{id}", token => $token), 404, $not_found, 'no longer there');
};

subtest 'its address may be used again' => sub {
    my $again = json_of($t->post($path, token => $token, json => { email => 'quetzalcoatl@example.com', external_id => 'ext-quetzalcoatl' },
        headers => { 'Idempotency-Key' => 'quetzalcoatl' }));
    isnt($again->{id}, $gone->{id}, 'and its key');
};

subtest 'by external id, and after a deletion' => sub {
    is_answer($t->delete('/api/customers/external/ext-huitzilopochtli', token => $token), 204, '', 'deleted');
    is(places('huitzilopochtli'), $others =~ s/idempotency_keys ?//r, 'all is still there');
    is_answer($t->delete('/api/customers/external/ext-huitzilopochtli?anonymize=true', token => $token), 404, $not_found, 'its external id is no longer its');
    is_answer($t->delete("$path$stays->{id}?anonymize=true", token => $token), 204, '', 'but its id is');
    is(places('huitzilopochtli'), '', 'wiped');
    person('tezcatlipoca');
    is_answer($t->delete('/api/customers/external/ext-tezcatlipoca?anonymize=true', token => $token), 204, '', 'at once, by external id');
    is(places('tezcatlipoca'), '', 'wiped');
};

subtest 'as the buyer of payments that are not its own' => sub {
    my ($person, $seller) = map { json_of($t->post($path, token => $token, json => { email => "$_\@example.com" })) } qw(xochipilli seller);
    my $session = json_of($t->post('/api/file-sharing/sessions', token => $token, json => { customer_id => $seller->{id} }));
    for my $whose ({}, { customer_id => $seller->{id} }) {
        my $payments = "/api/file-sharing/sessions/$session->{id}/payments";
        my $payment = json_of($t->post($payments, token => $token, json => { amount_cents => 5, buyer_email => 'Xochipilli@example.com', %$whose }));
        is_status($t->patch("$payments/$payment->{id}", token => $token, json => { status => 'completed' }), 200);
    }
    like(places('xochipilli'), qr/events.* file_share_payments/, 'told to others');
    is_status($t->delete("$path$person->{id}?anonymize=true", token => $token), 204);
    is(places('xochipilli'), '', 'wiped');
    my $plan = join "\n", map { @$_ } @{ $t->db->selectall_arrayref("EXPLAIN SELECT 1 FROM portal.events WHERE workspace_id = '$club->{id}'
        AND portal.email_key(data ->> 'buyer_email') = ANY (ARRAY(SELECT portal.addresses_of('$person->{id}')))") };
    like($plan, qr/events_buyer_email/, 'by an index') or diag $plan;
};

subtest 'a code asked for elsewhere is not its workspace\'s to end' => sub {
    my $abroad = $t->workspace;
    $t->customer($abroad, email => 'coyolxauhqui@example.com');
    my $copy = json_of($t->post($path, token => $token, json => { email => 'coyolxauhqui@example.com' }));
    $t->post('/api/customer-portal/customer-session/request', json => { email => 'coyolxauhqui@example.com', $_ ? (workspace_id => $_) : () })
        for undef, $club->{id}, $abroad->{id};
    is_status($t->delete("$path$copy->{id}?anonymize=true", token => $token), 204);
    is_deeply($t->db->selectcol_arrayref("SELECT workspace_id FROM portal.login_challenges WHERE email LIKE 'coyol%' ORDER BY created_at"),
        [undef, $abroad->{id}], 'its own went');
};

subtest 'by plain SQL' => sub {
    my $person = person('mictlantecuhtli');
    $t->db->do('INSERT INTO portal.erasures (workspace_id, customer_id) VALUES (?, ?)', undef, $club->{id}, $person->{id});
    is(places('mictlantecuhtli'), '', 'the same');
    is($t->value('SELECT count(*) FROM portal.member_sessions s WHERE customer_id = ? AND revoked_at IS NULL', $person->{id}), 0, 'sessions are over');
};

$t->done;
