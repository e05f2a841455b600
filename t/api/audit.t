# The audit log: each change that REST makes is a row of its own, with who made it, from where and by which request.
use strict; use warnings; use utf8;
use DBI;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace(member_model => 1);
my $other = $t->workspace;
my $token = $t->token($ws);
my $backend = 'access_token:' . $t->token_id($token);
my $portal = '/api/customer-portal';
my $client = '/api/v1/client-portal';
my @page = ('Content-Type' => 'application/json', 'Sec-Fetch-Site' => 'same-origin');
my ($asked, $address) = 0;

# A request from an address of its own.
sub ask {
    my ($method, $path, %option) = @_;
    $address = '10.5.' . int(++$asked / 250) . '.' . $asked % 250;
    return $t->request($method, $path, %option, headers => { 'X-Real-IP' => $address, %{ $option{headers} // {} } });
}
# A row in a line: action, target, what the target belongs to, what changed of it.
sub line { my ($row) = @_; join ' ', $row->{action}, $row->{target}, $row->{subject} ? "of $row->{subject}" : (),
    $row->{columns} ? '(' . join(',', @{ $row->{columns} }) . ')' : () }
# That an answer's request left these rows, in any order, and is their actor's; gives the answer's JSON.
sub recorded {
    my ($response, $actor, @lines) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $body = json_of($response);
    my $rows = $t->db->selectall_arrayref('SELECT * FROM portal.audit_log WHERE request_id = ? ORDER BY id', { Slice => {} },
        $response->header('X-Request-ID'));
    my $name = $response->request->method . ' ' . $response->request->uri->path =~ s/portal_cpt_\w+/…/r;
    is_deeply([sort map { line($_) } @$rows], [sort map { ref $_ ? $_->($body) : $_ } @lines], $name)
        or diag explain([map { line($_) } @$rows], $response->code, $response->content);
    is_deeply([grep { $_->{actor} ne $actor || $_->{address} ne $address || ($_->{workspace_id} // '') ne $ws->{id} } @$rows], [],
        "$name: by $actor");
    return $body;
}
# The same of a request by the workspace's token.
sub changes {
    my ($method, $path, $json, @lines) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return recorded(ask($method, $path, token => $token, $json ? (json => $json) : ()), $backend, @lines);
}
sub made { my ($noun, $of) = @_; sub { "$noun.created $noun:$_[0]{id}" . ($of ? " of $of" : '') } }

subtest 'people' => sub {
    my $team = changes(POST => '/api/customers/', { email => 'team@example.com', type => 'team', owner => { email => 'o@example.com' } },
        made('customer'), sub { my $owner = $t->value('SELECT id FROM portal.members WHERE customer_id = ?', $_[0]{id});
            "member.created member:$owner of customer:$_[0]{id}" });
    changes(PATCH => "/api/customers/$team->{id}", { name => 'Team', metadata => { plan => 'pro' } },
        "customer.updated customer:$team->{id} (metadata,name)");
    changes(PATCH => "/api/customers/$team->{id}", { name => 'Team' });
    my $member = changes(POST => '/api/members/', { customer_id => $team->{id}, email => 'm@example.com' },
        made('member', "customer:$team->{id}"));
    changes(PATCH => "/api/members/$member->{id}", { role => 'billing_manager' },
        "member.updated member:$member->{id} of customer:$team->{id} (role)");
    my $session = changes(POST => '/api/member-sessions/', { member_id => $member->{id} },
        sub { "member_session.created member_session:$_[0]{id} of member:$member->{id}" });
    changes(DELETE => "/api/members/$member->{id}", undef, "member.deleted member:$member->{id} of customer:$team->{id} (deleted_at)",
        "member_session.revoked member_session:$session->{id} of member:$member->{id} (revoked_at)");
    my $owner = $t->value(q(SELECT id FROM portal.members WHERE customer_id = ? AND role = 'owner'), $team->{id});
    changes(DELETE => "/api/customers/$team->{id}?anonymize=true", undef,
        "customer.deleted customer:$team->{id} (deleted_at)", "member.deleted member:$owner of customer:$team->{id} (deleted_at)",
        "customer.erased customer:$team->{id}", map({ "member.updated member:$_ of customer:$team->{id} (email)" } $owner, $member->{id}),
        "customer.updated customer:$team->{id} (email,metadata,name)");
};

subtest 'sessions by the backend' => sub {
    my $customer = $t->customer($other, name => 'Theirs');
    my $theirs = $t->token($other);
    is($t->post('/api/customer-sessions/', token => $theirs, json => { customer_id => $customer->{id} })->code, 201);
    is($t->value(q(SELECT count(*) FROM portal.audit_log WHERE workspace_id = ? AND action = 'customer_session.created'), $ws->{id}), 0,
        "another workspace's are its own");
    is($t->value(q(SELECT actor FROM portal.audit_log WHERE workspace_id = ? AND action = 'customer_session.created'), $other->{id}),
        'access_token:' . $t->token_id($theirs));
};

subtest 'the workspace' => sub {
    changes(PATCH => "/api/workspaces/$ws->{id}", { name => 'New' }, "workspace.updated workspace:$ws->{id} (name)");
    my $made = changes(POST => '/api/workspace-access-tokens/', { comment => 'x', scopes => ['customers:read'] },
        sub { "access_token.created access_token:$_[0]{workspace_access_token}{id}" });
    my $id = $made->{workspace_access_token}{id};
    changes(PATCH => "/api/workspace-access-tokens/$id", { scopes => ['members:read'] }, "access_token.updated access_token:$id (scopes)");
    changes(DELETE => "/api/workspace-access-tokens/$id", undef, "access_token.revoked access_token:$id (revoked_at)");
    changes(PATCH => "$client/config", { portal_name => 'Ours' }, "client_portal_config.created client_portal_config:$ws->{id}");
    changes(PATCH => "$client/config", { portal_name => 'Yours' },
        "client_portal_config.updated client_portal_config:$ws->{id} (portal_name)");
    my $hook = changes(POST => '/api/webhooks/endpoints', { url => 'https://hooks.example.com/a' }, made('webhook_endpoint'),
        sub { my $secret = $t->value('SELECT id FROM portal.webhook_secrets WHERE endpoint_id = ?', $_[0]{id});
            "webhook_secret.created webhook_secret:$secret of webhook_endpoint:$_[0]{id}" });
    my $first = $t->value('SELECT id FROM portal.webhook_secrets WHERE endpoint_id = ?', $hook->{id});
    my $second = sub { $t->value('SELECT id FROM portal.webhook_secrets WHERE endpoint_id = ? AND id <> ?', $hook->{id}, $first) };
    changes(PATCH => "/api/webhooks/endpoints/$hook->{id}", { enabled => JSON::XS::false },
        "webhook_endpoint.updated webhook_endpoint:$hook->{id} (enabled)");
    changes(PATCH => "/api/webhooks/endpoints/$hook->{id}/secret", {},
        "webhook_secret.updated webhook_secret:$first of webhook_endpoint:$hook->{id} (expires_at)",
        sub { "webhook_secret.created webhook_secret:" . $second->() . " of webhook_endpoint:$hook->{id}" });
    my @secrets = ($first, $second->());
    changes(DELETE => "/api/webhooks/endpoints/$hook->{id}", undef, "webhook_endpoint.deleted webhook_endpoint:$hook->{id} (deleted_at)",
        map { "webhook_secret.deleted webhook_secret:$_ of webhook_endpoint:$hook->{id}" } @secrets);
};

subtest 'addressees, links and items' => sub {
    my $company = changes(POST => '/api/companies/', { name => 'Globex' }, made('company'));
    my $contact = changes(POST => '/api/contacts/', { name => 'Ann', email => 'ann@example.com', company_id => 0 + $company->{id} },
        made('contact', "company:$company->{id}"));
    my $of = "of contact:$contact->{id}";
    my $id = sub { $t->value('SELECT id FROM portal.client_portal_tokens WHERE contact_id = ? ORDER BY created_at DESC LIMIT 1', $contact->{id}) };
    my %to = (type => 'contact', id => 0 + $contact->{id});
    my $link = changes(POST => "$client/token", \%to, sub { 'portal_token.created portal_token:' . $id->() . " $of" });
    changes(POST => "$client/token", \%to, sub { 'portal_token.disclosed portal_token:' . $id->() });
    changes(POST => "$client/contacts/$contact->{id}/invite", { custom_message => 'x' },
        sub { 'portal_token.created portal_token:' . $id->() . " $of" },
        sub { 'invitation.created invitation:' . $t->value('SELECT id FROM portal.outbox WHERE token_id = ?', $id->()) . ' of portal_token:' . $id->() });
    my $parent = $t->value('SELECT id FROM portal.client_portal_tokens WHERE made_for IS NULL AND contact_id = ?', $contact->{id});

    # opened by the addressee, who has nothing but the link
    my $visit = ask(POST => "$client/me/exchange", json => { token => $link->{token} }, headers => {@page});
    recorded($visit, "contact:$contact->{id}", sub { 'portal_session.signed_in portal_session:' . $id->() . " $of" });
    my ($cookie) = $visit->header('Set-Cookie') =~ /^([^;]+)/;
    my $session = $id->();
    recorded(ask(POST => "$client/me/logout", json => {}, headers => { @page, Cookie => $cookie }), "contact:$contact->{id}",
        "portal_session.revoked portal_session:$session $of (revoked_at)");

    my $item = changes(POST => '/api/portal-items/', { contact_id => 0 + $contact->{id}, module => 'invoices', external_id => 'i', title => 'x', status => 'open' },
        made('portal_item', "contact:$contact->{id}"));
    changes(PATCH => "/api/portal-items/$item->{id}", { status => 'paid' }, "portal_item.updated portal_item:$item->{id} $of (status)");
    changes(DELETE => "/api/portal-items/$item->{id}", undef, "portal_item.deleted portal_item:$item->{id} $of (deleted_at)");
    my $mailed = $t->value('SELECT id FROM portal.client_portal_tokens WHERE made_for IS NOT NULL AND contact_id = ? AND revoked_at IS NULL',
        $contact->{id});
    changes(DELETE => "$client/token", \%to, map { "portal_token.revoked portal_token:$_ $of (revoked_at)" } $parent, $mailed);
    changes(DELETE => "/api/contacts/$contact->{id}", undef, "contact.deleted contact:$contact->{id} of company:$company->{id} (deleted_at)");
};

subtest 'file sharing' => sub {
    my $customer = $t->customer($ws, type => 'individual');
    $t->member($customer);
    my $files = '/api/file-sharing/sessions';
    my $of = "customer:$customer->{id}";
    my $session = changes(POST => $files, { customer_id => $customer->{id}, title => 'x' }, made('file_sharing_session', $of));
    changes(PATCH => "$files/$session->{id}", { title => 'y' }, "file_sharing_session.updated file_sharing_session:$session->{id} of $of (title)");
    changes(POST => "$files/$session->{id}/downloads", { customer_id => $customer->{id} }, made('file_sharing_download', $of),
        "file_sharing_session.updated file_sharing_session:$session->{id} of $of (activated_at,status)");
    my $payment = changes(POST => "$files/$session->{id}/payments", { amount_cents => 100, customer_id => $customer->{id} }, made('payment', $of));
    changes(PATCH => "$files/$session->{id}/payments/$payment->{id}", { status => 'completed' },
        "payment.updated payment:$payment->{id} of $of (status)");
};

subtest 'signing in and out' => sub {
    my $team = $t->customer($ws, type => 'team');
    my $mike = $t->member($team, email => 'mike@example.com');
    my $challenge = json_of(ask(POST => "$portal/customer-session/request", json => { email => 'mike@example.com', workspace_id => $ws->{id} }))
        ->{challenge_id};
    my $code = $t->login_code('mike@example.com');
    my $try = sub { ask(POST => "$portal/customer-session/authenticate", json => { challenge_id => $challenge, code => $_[0] }) };
    recorded($try->($code =~ tr/A-Z0-9/B-Z0-9A/r), 'anonymous', "login.failed login:$challenge");
    my $in = $try->($code);
    my $by = "member:$mike->{id}";
    my $id = sub { $t->value('SELECT id FROM portal.member_sessions ORDER BY created_at DESC LIMIT 1') };
    my $own = recorded($in, $by, sub { 'member_session.signed_in member_session:' . $id->() . " of $by" })->{token};
    my $session = $id->();

    my $made = recorded(ask(POST => "$portal/members", token => $own, json => { email => 'new@example.com' }), $by,
        made('member', "customer:$team->{id}"),
        sub { 'invitation.created invitation:' . $t->value('SELECT id FROM portal.outbox WHERE member_id = ?', $_[0]{id}) . " of member:$_[0]{id}" });
    recorded(ask(PATCH => "$portal/members/$made->{id}", token => $own, json => { role => 'billing_manager' }), $by,
        "member.updated member:$made->{id} of customer:$team->{id} (role)");
    recorded(ask(PATCH => "$portal/members/$made->{id}", token => $own, json => { role => 'owner' }), $by,
        map { "member.updated member:$_ of customer:$team->{id} (role)" } $made->{id}, $mike->{id});
    my $heir = $t->session($t->row('SELECT * FROM portal.members WHERE id = ?', $made->{id}));
    recorded(ask(PATCH => "$portal/members/$mike->{id}", token => $heir, json => { role => 'owner' }), "member:$made->{id}",
        map { "member.updated member:$_ of customer:$team->{id} (role)" } $made->{id}, $mike->{id});
    recorded(ask(DELETE => "$portal/members/$made->{id}", token => $own), $by,
        "member.deleted member:$made->{id} of customer:$team->{id} (deleted_at)",
        sub { 'member_session.revoked member_session:' . $t->value('SELECT id FROM portal.member_sessions WHERE member_id = ?', $made->{id})
            . " of member:$made->{id} (revoked_at)" });
    recorded(ask(PATCH => "$portal/customers/me", token => $own, json => { billing_name => 'Mike Ltd' }), $by,
        "customer.updated customer:$team->{id} (billing_name)");

    # a link in a browser, which then signs out of everything else
    my $link = $t->session($mike);
    my $visit = ask(POST => "$portal/customer-session/exchange", json => { token => $link }, headers => {@page});
    recorded($visit, $by, sub { 'member_session.signed_in member_session:' . $id->() . " of $by" });
    my ($cookie) = $visit->header('Set-Cookie') =~ /^([^;]+)/;
    my $browser = $id->();
    recorded(ask(DELETE => "$portal/customer-session/sessions/$session", headers => { @page, Cookie => $cookie }, json => {}), $by,
        "member_session.revoked member_session:$session of $by (revoked_at)");
    recorded(ask(POST => "$portal/customer-session/logout", headers => { @page, Cookie => $cookie }, json => {}), $by,
        "member_session.revoked member_session:$browser of $by (revoked_at)");
};

subtest 'what is refused leaves no row, nor does what only looks' => sub {
    my $before = $t->value('SELECT max(id) FROM portal.audit_log');
    is_status(ask(POST => '/api/customers/', token => $token, json => { email => 'nobody' }), 422);
    is_status(ask(PATCH => "/api/workspaces/$other->{id}", token => $token, json => { name => 'x' }), 404);
    is_status(ask(GET => '/api/customers/', token => $token), 200);
    is_status(ask(POST => '/api/customers/', token => 'nonsense', json => { email => 'a@example.com' }), 401);
    is($t->value('SELECT max(id) FROM portal.audit_log'), $before);
};

subtest "the site's own SQL" => sub {
    for my $kind ('INHERIT', 'NOINHERIT') {
        my $role = lc "acme_$kind";
        $t->db->do("CREATE ROLE $role LOGIN $kind IN ROLE portal_site");
        $t->insert('site_roles', { role_name => $role, workspace_id => $ws->{id} });
        my $site = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=$role", '', '',
            { RaiseError => 1, PrintError => 0 });
        $site->do('SET ROLE portal_site') if $kind eq 'NOINHERIT';
        $site->do("SELECT set_config('portal.$_', 'access_token:forged', false)") for qw(actor address request_id);
        my ($id) = $site->selectrow_array('INSERT INTO portal.contacts (workspace_id, name) VALUES (?, ?) RETURNING id', undef, $ws->{id}, 'Eve');
        my $row = $t->row('SELECT * FROM portal.audit_log ORDER BY id DESC LIMIT 1');
        is_deeply([@$row{qw(workspace_id actor action target address request_id)}],
            [$ws->{id}, "sql:$role", 'contact.created', "contact:$id", 'unix:', undef], "$kind: is in the name of its role, whatever it says");
        ok(!eval { $site->do($_); 1 }, "refused: $_") for 'SELECT * FROM portal.audit_log',
            "INSERT INTO portal.audit_log (action, target) VALUES ('a', 'b')";
    }
    my $job = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=portal_owner", '', '', { RaiseError => 1, AutoCommit => 0 });
    $job->do("SELECT set_config('portal.actor', 'job:nightly', true)");
    $job->do("UPDATE portal.contacts SET name = 'Eva' WHERE name = 'Eve'");
    $job->commit;
    is($t->value('SELECT actor FROM portal.audit_log ORDER BY id DESC LIMIT 1'), 'job:nightly', 'a job of the operator says who it is');
};

subtest 'no value is in it' => sub {
    my $all = join "\n", map { join ' ', map { ref $_ ? @$_ : $_ // '' } @$_ } @{ $t->db->selectall_arrayref('SELECT * FROM portal.audit_log') };
    unlike($all, qr/\@example|portal_(?:oat|cst|mst|cpt)_\w{20}|whsec_|[0-9a-f]{64}|hooks\./, 'no address, no credential, no hash');
};

$t->done;
