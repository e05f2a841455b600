# portalctl audit: what is found by which filter, who an operator is in it, and that nothing takes a row away before
# its time.
use strict; use warnings; use utf8;
use DBI;
use Test::More;
use PortalTest;

delete $ENV{SUDO_USER};
my $t = PortalTest->new(nginx => 0, redis => 0, helper => 0);
my $me = 'portalctl:' . getpwuid($>);
my ($acme, $other) = map { $t->workspace } 1 .. 2;
my @in = ('-w', $acme->{slug});

sub rows { @{ $t->ctl('audit', @_)->{data} } }
sub lines { map { "$_->{actor} $_->{action} $_->{target}" . ($_->{columns} ? " @{ $_->{columns} }" : '') } rows(@_) }
# the rows that a command leaves
sub left {
    my ($name, $command, @expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $before = $t->value('SELECT max(id) FROM portal.audit_log');
    my $answer = $t->ctl(@$command);
    my @new = grep { $_->{id} > $before } rows('--limit', 100);
    is_deeply([map { "$_->{action} $_->{target}" } reverse @new], [map { ref $_ ? $_->($answer) : $_ } @expected], $name);
    is_deeply([grep { $_->{actor} ne $me || $_->{address} ne 'unix:' || defined $_->{request_id} } @new], [], "$name: $me");
    return $answer;
}

subtest 'what an operator does' => sub {
    my $made = left('workspace create', [qw(workspace create globex --name Globex)], sub { "workspace.created workspace:$_[0]{id}" });
    left('workspace set', [qw(workspace set globex --name Globe)], "workspace.updated workspace:$made->{id}");
    my $token = left('token create', [qw(token create --scope customers:read --comment c), @in],
        sub { "access_token.created access_token:$_[0]{workspace_access_token}{id}" })->{workspace_access_token};
    left('token revoke', [qw(token revoke), $token->{id}, @in], "access_token.revoked access_token:$token->{id}");
    my $contact = left('contact create', [qw(contact create --name Ann --email ann@example.com), @in], sub { "contact.created contact:$_[0]{id}" });
    left('invite contact', [qw(invite contact), $contact->{id}, @in],
        sub { 'portal_token.created portal_token:' . $t->value('SELECT id FROM portal.client_portal_tokens') },
        sub { 'invitation.created invitation:' . $t->value('SELECT id FROM portal.outbox') });
    left('mail retry', [qw(mail retry --all), @in], sub { "mail.retried mail:$_[0]{retried}[0]" });
    $t->write_file('records.jsonl', qq({"kind":"contact","external_id":"e","name":"Eve"}\n));
    my ($code, $output) = $t->ctl_run('import', @in, $t->dir . '/records.jsonl');
    is($code, 0, 'import') or diag $output;
    is_deeply([lines('--limit', 1)], ["$me contact.created contact:" . ($contact->{id} + 1)], 'import');
    like((rows('--action', 'migration', '--limit', 1))[0]{actor}, qr/^portalctl:/, 'migrate');
    local $ENV{SUDO_USER} = 'alice';
    $t->ctl(qw(contact delete), $contact->{id}, @in);
    my ($row) = rows('--limit', 1, '--action', 'contact');
    is_deeply([@$row{qw(actor action target columns)}], ['portalctl:alice', 'contact.deleted', "contact:$contact->{id}", ['deleted_at']],
        'whoever called sudo');
};

subtest 'found' => sub {
    my $theirs = $t->customer($other);
    my $mine = $t->customer($acme);
    $t->db->do("UPDATE portal.customers SET name = 'x', billing_name = 'y' WHERE id = ?", undef, $mine->{id});
    my ($row) = rows('--limit', 1, @in);
    like(delete $row->{created_at}, qr/^\d{4}-\d\d-\d\dT.*Z$/);
    like(delete $row->{id}, qr/^\d+$/);
    is_deeply($row, { workspace_id => $acme->{id}, workspace => $acme->{slug}, actor => 'sql:postgres', action => 'customer.updated',
        target => "customer:$mine->{id}", subject => undef, columns => [qw(billing_name name)], address => 'unix:', request_id => undef }, 'as JSON');
    is(scalar(grep { $_->{workspace_id} ne $acme->{id} } rows(@in)), 0, '-w: only of this workspace');
    cmp_ok(scalar(rows(@in)), '>', 5);
    is_deeply([lines('-w', $other->{slug}, '--action', 'customer')], ["sql:postgres customer.created customer:$theirs->{id}"], '-w: of the other');
    is_deeply([lines('--target', "customer:$mine->{id}")], ["sql:postgres customer.updated customer:$mine->{id} billing_name name",
        "sql:postgres customer.created customer:$mine->{id}"], '--target: one, newest first');
    my $member = $t->member($mine);
    is((lines('--target', "customer:$mine->{id}"))[0], "sql:postgres member.created member:$member->{id}", '--target: and what belongs to it');
    is_deeply([grep { $_->{target} !~ /^member:/ } rows('--target', 'member')], [], '--target: a kind');
    is_deeply([lines('--action', 'customer.updated')], ["sql:postgres customer.updated customer:$mine->{id} billing_name name"], '--action: one');
    is(scalar(my @all = rows('--action', 'customer')), 3, '--action: all of a noun');
    is(scalar(my @none = rows('--action', 'cust')), 0, '--action: not a beginning');
    is_deeply([grep { $_->{actor} ne $me } rows('--actor', $me)], [], '--actor: one');
    is((lines('--actor', 'portalctl', '--limit', 1))[0], (lines('--actor', 'portalctl:alice'))[0], '--actor: a kind');
    is(scalar(my @two = rows('--limit', 2)), 2, '--limit');
    $t->insert('audit_log', { workspace_id => $acme->{id}, action => 'test.old', target => 'test:1', created_at => '2026-01-02T03:04:05Z' });
    is_deeply([map { $_->{created_at} } rows(@in, '--until', '2026-01-03')], ['2026-01-02T03:04:05Z'], '--until a day');
    is(scalar(grep { $_->{action} eq 'test.old' } rows(@in, @$_)), 1, "@$_") for ['--since', '2026-01-02'],
        ['--since', '2026-01-02T04:04:05+01:00'], ['--until', '2026-01-02T03:04:06Z'];
    is(scalar(grep { $_->{action} eq 'test.old' } rows(@in, @$_)), 0, "not @$_") for ['--since', '2026-01-02T03:04:06Z'],
        ['--until', '2026-01-02'], ['--until', '2026-01-02T03:04:05Z'];
};

subtest 'for people' => sub {
    my ($code, undef, $out) = $t->ctl_run('audit', @in, '--action', 'customer.updated');
    is($code, 0);
    like($out, qr/^TIME +WORKSPACE +ACTOR +ACTION +TARGET +OF +COLUMNS +FROM +REQUEST$/m);
    like($out, qr/^\S+Z +\Q$acme->{slug}\E +sql:postgres +customer\.updated +customer:\S+ +- +billing_name name +unix: +-$/m);
    is(($t->ctl_run(qw(audit --actor nobody)))[2], "Nothing was recorded.\n");
};

subtest 'wrong usage' => sub {
    for ([2, qr/--since/, '--since', 'yesterday'], [2, qr/--until/, '--until', '2026-13-01'], [2, qr/--limit/, '--limit', 0],
        [2, qr/--limit/, '--limit', 100001], [1, qr/Workspace not found/, '-w', 'nonsense']) {
        my ($exit, $pattern, @arguments) = @$_;
        my ($code, undef, undef, $err) = $t->ctl_run('audit', @arguments);
        is($code, $exit, "@arguments");
        like($err, $pattern, 'says why');
    }
};

subtest 'append-only' => sub {
    my $id = $t->value('SELECT min(id) FROM portal.audit_log');
    for my $role (qw(postgres portal_owner portal_helper portal_web)) {
        my $db = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=$role", '', '',
            { RaiseError => 1, PrintError => 0 });
        for my $sql ("UPDATE portal.audit_log SET action = 'x'", "DELETE FROM portal.audit_log WHERE id = $id", 'TRUNCATE portal.audit_log') {
            ok(!eval { $db->do($sql); 1 }, "$role: $sql");
            like($@, $role =~ /postgres|owner/ ? qr/The audit log is append-only\./ : qr/permission denied/, 'refused');
        }
        $db->disconnect;
    }
    my $web = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=portal_web", '', '', { RaiseError => 1, PrintError => 0 });
    ok(!eval { $web->do($_); 1 }, "portal_web: $_") for 'SELECT * FROM portal.audit_log', 'SELECT portal.purge_audit(400, 1)',
        "INSERT INTO portal.audit_log (action, target, created_at) VALUES ('a', 'b', now() - interval '1 year')",
        "INSERT INTO portal.audit_log (action, target, actor) VALUES ('a', 'b', 'somebody')";
    is($t->value('SELECT count(*) FROM portal.audit_log WHERE id = ?', $id), 1, 'it is still there');

    my $age = sub { $t->insert('audit_log', { action => 'test.aged', target => 'test:2', created_at => $t->value("SELECT now() - ? * interval '1 day'", $_[0]) }) };
    $age->($_) for 29, 31, 40;
    my $helper = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=portal_helper", '', '', { RaiseError => 1, PrintError => 0 });
    my $ages = sub { join ' ', map { $_->[0] } @{ $t->db->selectall_arrayref(
        q(SELECT round(extract(epoch FROM now() - created_at) / 86400) FROM portal.audit_log WHERE action = 'test.aged' ORDER BY id)) } };
    $helper->do('SELECT portal.purge_audit(35, 1000)');
    is($ages->(), '29 31', 'the purge takes what is older than it is told');
    $helper->do('SELECT portal.purge_audit(0, 1000)');
    is($ages->(), '29', 'and nothing of the last 30 days, whatever it is told');
    ok(!eval { $helper->do('DELETE FROM portal.audit_log'); 1 }, 'and opens no door for what comes after it');
};

$t->done;
