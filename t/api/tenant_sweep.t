# Every route of the route tables, called with every id of another workspace: nothing of it is in any answer, nothing
# of it changes, and each answer is that for an id nobody has. Routes are read from the sources: one that lands later is
# swept too, and one that takes a body fails here until it has one below.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

# ---- the routes

my @routes;
for my $file (sort glob PortalTest::root() . '/src/api/*.cpp') {
    my $source = slurp($file);
    push @routes, map { { %$_ } } map { { method => uc($_->[0] eq 'del' ? 'delete' : $_->[0]), path => $_->[1], body => $_->[2] eq 'json' } }
        map { [/^\{(\w+), "([^"]+)".*\bBody::(\w+)/s] } $source =~ /^    (\{(?:get|post|patch|put|del), "[^"]+",[^{}]*\bBody::\w+)/mg;
    my $rows = () = $source =~ /^    \{(?:get|post|patch|put|del), "/mg;
    my $found = () = $source =~ /^    \{(?:get|post|patch|put|del), "[^"]+",[^{}]*\bBody::\w+/mg;
    is($found, $rows, "all rows of $file are understood");
}
cmp_ok(scalar @routes, '>=', 20, 'routes found');

# What a body says of another's: $v are the values of the call. Every POST and PATCH that takes a body is here.
my $client = '/api/v1/client-portal';
my $portal = '/api/customer-portal';
my %body = (
    'POST /api/customer-sessions' => sub { my ($v) = @_; ({ customer_id => $v->{uuid} }, { external_customer_id => $v->{external} },
        { external_customer_id => 'shared', member_id => $v->{uuid} }, { external_customer_id => 'shared', external_member_id => $v->{external} }) },
    'POST /api/member-sessions' => sub { ({ member_id => $_[0]{uuid} }) },
    "PATCH $client/config" => sub { ({ portal_name => 'Mine' }) },
    "POST $client/contacts/{contactId}/invite" => sub { ({ custom_message => 'x' }) },
    "POST $client/companies/{companyId}/invite" => sub { ({ custom_message => 'x' }) },
    "POST $client/token" => sub { my ($v) = @_; map { { type => $_, id => $v->{number} } } qw(contact company) },
    "DELETE $client/token" => sub { my ($v) = @_; map { { type => $_, id => $v->{number} } } qw(contact company) },
    "POST $portal/customer-session/request" => sub { my ($v) = @_; ({ email => $v->{email}, customer_id => $v->{uuid}, workspace_id => $v->{mine}{id} },
        { email => $v->{email}, workspace_id => $v->{mine}{id} }) },
    "POST $portal/customer-session/authenticate" => sub { my ($v) = @_; ({ code => 'AAAAAA', challenge_id => $v->{uuid} },
        { selection_token => $v->{external}, customer_id => $v->{uuid} }) },
    "POST $portal/customer-session/exchange" => sub { ({ token => $_[0]{external} }) },
    "POST $client/me/exchange" => sub { ({ token => $_[0]{external} }) },
    "PATCH $portal/customers/me" => sub { ({ billing_name => 'x' }) },
    "POST $portal/members" => sub { ({ email => $_[0]{email} }) },
    "PATCH $portal/members/{id}" => sub { ({ role => 'member' }) },
    'POST /api/customers' => sub { my ($v) = @_; ({ email => $v->{email}, external_id => $v->{external}, name => 'x' }) },
    'PATCH /api/customers/{id}' => sub { ({ name => 'x' }) },
    'PATCH /api/customers/external/{external_id}' => sub { ({ name => 'x' }) },
    'POST /api/members' => sub { my ($v) = @_; ({ customer_id => $v->{uuid}, email => 'm@example.org' },
        { customer_id => $v->{mine}{team}, email => $v->{email}, external_id => $v->{external} }) },
    'PATCH /api/members/{id}' => sub { ({ name => 'x' }) },
    'POST /api/workspace-access-tokens' => sub { ({ comment => $_[0]{external}, scopes => ['customers:read'] }) },
    'PATCH /api/workspace-access-tokens/{id}' => sub { ({ comment => 'x' }) },
    'PATCH /api/workspaces/{id}' => sub { ({ name => 'x' }) },
    'POST /api/webhooks/endpoints' => sub { ({ url => 'https://hooks.example.org/x', event_types => ['customer.created'] }) },
    'PATCH /api/webhooks/endpoints/{id}' => sub { ({ enabled => false }, { url => 'https://hooks.example.org/y' }) },
    'PATCH /api/webhooks/endpoints/{id}/secret' => sub { ({}) },
    'POST /api/webhooks/events/{id}/redeliver' => sub { ({}, { endpoint_id => $_[0]{uuid} }) },
    (map { my $noun = $_; ("POST /api/$noun" => sub { my ($v) = @_; ({ name => 'x', customer_id => $v->{uuid} }, { name => 'x', external_id => $v->{external} },
            $noun eq 'contacts' ? { name => 'x', company_id => $v->{number} } : ()) },
        "PATCH /api/$noun/{id}" => sub { my ($v) = @_; ({ name => 'x' }, { customer_id => $v->{uuid} }) }) } qw(contacts companies)),
    'POST /api/portal-items' => sub { my ($v) = @_; my %item = (module => 'invoices', title => 'x', status => 'open', external_id => $v->{external});
        ({ %item, contact_id => $v->{number} }, { %item, company_id => $v->{number} }) },
    'PATCH /api/portal-items/{id}' => sub { my ($v) = @_; ({ title => 'x' }, { contact_id => $v->{number} }) },
    'POST /api/file-sharing/sessions' => sub { my ($v) = @_; ({ customer_id => $v->{uuid}, title => 'x' }, { external_customer_id => $v->{external}, title => 'x' }) },
    'PATCH /api/file-sharing/sessions/{id}' => sub { ({ title => 'x' }) },
    'POST /api/file-sharing/sessions/{id}/downloads' => sub { ({ customer_id => $_[0]{uuid} }) },
    'POST /api/file-sharing/sessions/{id}/payments' => sub { ({ amount_cents => 1, customer_id => $_[0]{uuid} }) },
    'PATCH /api/file-sharing/sessions/{id}/payments/{payment_id}' => sub { ({ status => 'completed' }) },
);
# What anybody may ask of any workspace, by its slug.
my %public = map { $_ => 1 } "GET $portal/workspaces/{slug}";
# What ends the session that asks: its second call is another's.
my %final = map { $_ => 1 } "POST $portal/customer-session/logout";
# What lets nobody in without a proof of another kind.
my %proof = map { $_ => 1 } "POST $portal/customer-session/authenticate", "POST $portal/customer-session/exchange", "POST $client/me/exchange";

# ---- two workspaces with like data, and one more for customers' sessions

# limits would end the sweep early
my %class = map { $_ => 1 } slurp(PortalTest::root() . '/src/portal/limiter.h') =~ /^inline constexpr Policy \w+\{"([\w-]+)"/mg;
my $t = PortalTest->new(helper => 0, http => join ' ', map { "portal_rate_limit_class $_ 1000000 60s;" } sort keys %class);
my $word = 'xolotl';    # in everything of theirs that is text

sub seed {
    my ($ws, $name, $base) = @_;
    my $exists = sub { defined $t->value('SELECT to_regclass(?)', "portal.$_[0]") };
    my %own = (ws => $ws, id => $ws->{id}, slug => $ws->{slug});
    $own{token} = $t->token($ws);
    for my $external ('shared', "$name-only") {
        my $team = $t->customer($ws, type => 'team', name => "$name customer", email => "$external.$name\@example.org", external_id => $external,
            metadata => qq({"of":"$name"}), billing_name => "$name Ltd");
        my $owner = $t->member($team, name => "$name owner", email => "$external.owner.$name\@example.org", external_id => $external);
        my $member = $t->member($team, name => "$name member", role => 'member', email => "$external.member.$name\@example.org", external_id => "m-$external");
        push @{ $own{customers} }, $team;
        push @{ $own{owners} }, $owner;
        push @{ $own{members} }, $member;
        $own{team} //= $team->{id};
    }
    for my $number (1, $base) {
        my $company = $t->company($ws, id => $number, name => "$name company", email => "company$number.$name\@example.org",
            external_id => $number == 1 ? 'shared' : "$name-only");
        my $contact = $t->contact($ws, id => $number, name => "$name contact", email => "contact$number.$name\@example.org",
            external_id => $number == 1 ? 'shared' : "$name-only", company_id => $company->{id}, customer_id => $own{team});
        push @{ $own{contacts} }, $contact;
        $t->insert('portal_items', { workspace_id => $ws->{id}, id => $number, contact_id => $number, module => 'invoices', title => "$name item",
            status => 'open', external_id => $number == 1 ? 'shared' : "$name-only" }) if $exists->('portal_items');
    }
    $t->post('/api/webhooks/endpoints', token => $own{token}, json => { url => "https://$name.example.org/hook" });
    $own{link} = json_of($t->post("$client/token", token => $own{token}, json => { type => 'contact', id => 1 }))->{token};
    $t->post("$client/contacts/1/invite", token => $own{token}, json => { custom_message => "dear $name" }, headers => { Prefer => 'respond-async' });
    $t->patch("$client/config", token => $own{token}, json => { portal_name => "$name portal" });
    $own{member_session} = $t->session($own{owners}[0]);
    if ($exists->('file_share_sessions')) {
        my $file = $t->insert('file_share_sessions', { workspace_id => $ws->{id}, customer_id => $own{team}, title => "$name file", file_name => "$name.pdf" });
        $t->insert('file_share_downloads', { workspace_id => $ws->{id}, session_id => $file->{id}, customer_id => $own{team}, slot_number => 1 });
        $t->insert('file_share_payments', { workspace_id => $ws->{id}, session_id => $file->{id}, customer_id => $own{team}, amount_cents => 1,
            currency => 'usd', buyer_email => "buyer.$name\@example.org", buyer_name => "$name buyer" });
        $own{file} = $file->{id};
    }
    return \%own;
}
my $mine = seed($t->workspace(member_model => 1, name => 'mine'), 'mine', 555001);
my $theirs = seed($t->workspace(member_model => 1, name => "$word workspace", slug => "$word-ws"), $word, 777001);
my $plain_ws = $t->workspace;
my $plain = $t->customer($plain_ws);

# ---- what is theirs

my $tables = $t->db->selectcol_arrayref(q(SELECT table_name FROM information_schema.columns WHERE table_schema = 'portal'
    AND column_name = 'workspace_id' AND table_name IN (SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')) ORDER BY 1));
my %has_uuid = map { $_ => 1 } @{ $t->db->selectcol_arrayref(q(SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'portal' AND column_name = 'id' AND data_type = 'uuid')) };
# one row's id of each table, of their sessions and of everything else they have
my %id_of;
for my $table (grep { $has_uuid{$_} } @$tables) {
    my $ids = $t->db->selectcol_arrayref("SELECT id FROM portal.$table WHERE workspace_id = ? ORDER BY created_at DESC, id LIMIT 2", undef, $theirs->{id})
        if $table ne 'events';
    $ids //= $t->db->selectcol_arrayref("SELECT id FROM portal.events WHERE workspace_id = ? LIMIT 1", undef, $theirs->{id});
    $id_of{"$table $_"} = $ids->[$_] for 0 .. $#$ids;
}
$id_of{workspace} = $theirs->{id};
cmp_ok(scalar keys %id_of, '>=', 12, 'ids of ' . join ', ', sort keys %id_of);
my @secret_ids = map { @{ $t->db->selectcol_arrayref("SELECT id FROM portal.$_ WHERE workspace_id = ?", undef, $theirs->{id}) } } grep { $has_uuid{$_} } @$tables;
# the state of all of it, but for when a credential was last used
sub theirs_now {
    return { map { my $table = $_; ($table => $t->value("SELECT count(*) || ' ' || coalesce(md5(string_agg(text, '|' ORDER BY text)), '')
        FROM (SELECT (to_jsonb(row) - 'last_used_at')::text AS text FROM portal.$table row WHERE workspace_id = ?) rows", $theirs->{id})) } @$tables };
}

# The values a call names: theirs, and those of nobody in the same form.
my @calls = map { { what => $_, theirs => { uuid => $id_of{$_}, number => 777001, external => "$word-only", email => "$word-only.$word\@example.org" },
    nobody => { uuid => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', number => 888001, external => 'nobody-only', email => 'nobody-only.nobody@example.org' } } } sort keys %id_of;
$_->{theirs}{slug} = $theirs->{slug}, $_->{nobody}{slug} = 'nobody-ws' for @calls;
$_->{mine} = $mine for map { @$_{qw(theirs nobody)} } @calls;

# `parent`: an own row's id for the first place, so that the second alone is another's.
sub filled {
    my ($path, $value, $parent) = @_;
    $path =~ s/\{\w+\}/$parent/ if defined $parent;
    my $numbered = $path =~ m{/(?:contacts|companies|portal-items)/\{};
    return $path =~ s{\{(\w+)\}}{$1 =~ /external/ ? $value->{external} : $1 eq 'slug' ? $value->{slug} : $numbered ? $value->{number} : $value->{uuid}}gre;
}
sub query {
    my ($value) = @_;
    return "?customer_id=$value->{uuid}&contact_id=$value->{number}&company_id=$value->{number}&external_id=$value->{external}"
        . "&email=$value->{email}&query=$value->{external}&limit=100&metadata[of]=" . ($value->{external} =~ s/-.*//r);
}
# What is left of an answer when all that may differ is masked: what was sent, ids, times, tokens and numbers.
sub masked {
    my ($answer, $value) = @_;
    my $text = join "\n", $answer->status_line, (map { "$_: " . join ',', $answer->header($_) }
        grep { !/^(?:Date|Client-|X-Request-ID|X-RateLimit|RateLimit|Content-Length|Connection)/i } sort $answer->header_field_names), $answer->content;
    $text =~ s/\Q$_\E/SENT/gi for grep { defined && !ref } @$value{qw(email external uuid slug)};
    $text =~ s/(?:$word|nobody)-only|\Q$value->{number}\E/SENT/gi;
    $text =~ s/gravatar.com\/avatar\/[0-9a-f]{64}/AVATAR/g;
    $text =~ s/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/ID/g;
    $text =~ s/portal_[a-z]{3}_[\w-]{20,}/TOKEN/g;
    $text =~ s/whsec_[\w+\/=]+/SECRET/g;
    $text =~ s/"ticket":"[\w-]+"/TICKET/g;
    $text =~ s/\d{4}-\d\d-\d\dT[\d:.]+Z/TIME/g;
    $text =~ s/\d+/0/g;
    return $text;
}
# What is theirs in an answer, but for what the call itself named.
sub leaks {
    my ($answer, $value) = @_;
    my $text = $answer->as_string;
    $text =~ s/\Q$_\E//gi for grep { defined && !ref } @$value{qw(email external uuid slug)};
    return join ' ', $text =~ /$word/gi, grep { index($text, $_) >= 0 } @secret_ids;
}

# ---- the sweep

# Sessions are made anew for each route: some routes end them.
sub callers {
    return { nobody => undef, backend => $mine->{token}, customer => $t->session($plain), member => $t->session($mine->{owners}[0]),
        contact => json_of($t->post("$client/token", token => $mine->{token}, json => { type => 'contact', id => 1 }))->{token} };
}

# reading goes first: what the sweep makes of its own carries their names
for my $route (sort { ($b->{method} eq 'GET') <=> ($a->{method} eq 'GET') } @routes) {
    my $name = "$route->{method} $route->{path}";
    subtest $name => sub {
        my $bodies = $body{$name};
        if ($route->{body} && !$bodies) {
            fail('takes a body: what it may say of another workspace belongs into %body above');
            return;
        }
        my ($before, $callers, %statuses, @leaks, @unlike) = (theirs_now(), callers());
        # every id where the path has a place for one; elsewhere those of people will do
        my $uuids = $route->{path} =~ m{\{(?!slug|external)} && $route->{path} !~ m{/(?:contacts|companies|portal-items)/\{};
        my @now = grep { $uuids || $_->{what} =~ /^(?:customers|members) 0$/ } @calls;
        my $nested = $route->{path} =~ /\{.*\{/;
        if ($nested && $route->{path} !~ m{^/api/(?:customer-portal/)?file-sharing/sessions/\{}) {
            fail('a place within a place: whose own row the first is must be told above');
            return;
        }
        for (map { my $call = $_; map { [$call, $_] } undef, $nested ? $mine->{file} : () } @now) {
            my ($call, $parent) = @$_;
            for my $who (sort keys %$callers) {
                my @answers = map {
                    my $value = $call->{$_};
                    [map { my $answer = $t->request($route->{method}, filled($route->{path}, $value, $parent) . ($_->[1] // ''), token => $callers->{$who},
                        defined $_->[0] ? (json => $_->[0]) : ());
                        push @leaks, "$who, $call->{what}: $_" for grep { length && !$public{$name} } leaks($answer, $value);
                        $statuses{$who}{ $answer->code }++;
                        [$answer, masked($answer, $value)] }
                        $bodies ? map({ [$_] } $bodies->($value)) : $route->{body} ? [] : ([undef, ''], [undef, query($value)])];
                } qw(theirs nobody);
                for my $at (0 .. $#{ $answers[0] }) {
                    push @unlike, "$who, $call->{what}:\n$answers[0][$at][1]\n-- but for an id of nobody\n$answers[1][$at][1]"
                        if $answers[0][$at][1] ne $answers[1][$at][1] && !$public{$name} && !$final{$name};
                }
            }
        }
        is(join("\n", @leaks[0 .. ($#leaks > 3 ? 3 : $#leaks)]), '', 'nothing of theirs is told');
        is(join("\n", @unlike[0 .. ($#unlike > 1 ? 1 : $#unlike)]), '', 'answered as what nobody has');
        is_deeply(theirs_now(), $before, 'nothing of theirs has changed');
        my %reached = map { map { $_ => 1 } keys %$_ } values %statuses;
        my @inside = grep { !/^(?:401|403|405|429|5\d\d)$/ } keys %reached;
        $proof{$name} ? is("@inside", '', 'nobody was let in')
            : ok(scalar @inside, 'somebody was let in: ' . join ' ', sort keys %reached);
        is(join(' ', grep { /^(?:429|5)/ } sort keys %reached), '', 'and nobody was refused for another reason');
    };
}

subtest 'their own credentials see their own' => sub {
    is(json_of($t->get('/api/customers/external/shared', token => $theirs->{token}))->{name}, "$word customer", 'the same external id');
    is(json_of($t->get('/api/customers/external/shared', token => $mine->{token}))->{name} =~ s/^x$/mine customer/r, 'mine customer', 'and mine');
    my $seen = $t->get("/api/customers/$theirs->{customers}[1]{id}", token => $theirs->{token});
    like(leaks($seen, $calls[0]{theirs}), qr/$word .*\Q$theirs->{customers}[1]{id}\E/, 'in which the sweep would have found them');
    isnt(masked($seen, $calls[0]{theirs}), masked($t->get('/api/customers/8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', token => $theirs->{token}), $calls[0]{nobody}),
        'and unlike what nobody has');
    is(json_of($t->get("$client/config", token => $theirs->{token}))->{data}{portal_name}, "$word portal");
    is_status($t->get("/api/customers/$theirs->{customers}[0]{id}", token => $theirs->{token}), 200, 'they are all there');
};

$t->done;
