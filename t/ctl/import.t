# portalctl import: JSON lines, whole or not at all.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(time);
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my $club = $t->workspace(member_model => 1);
my $json = JSON::XS->new->utf8->canonical->allow_nonref;

sub lines { join '', map { (ref $_ ? JSON::XS->new->canonical->encode($_) : $_) . "\n" } @_ }
sub file  { $t->write_file('import.jsonl', lines(@_)) }
# (exit code, stdout, stderr) of an import of these lines
sub import_run {
    my ($workspace, $options, @lines) = @_;
    my ($code, undef, $out, $err) = $t->ctl_run('import', '-w', $workspace->{slug}, @$options, file(@lines));
    return ($code, $out, $err);
}
sub imported {
    my ($workspace, $options, @lines) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($code, $out, $err) = import_run($workspace, ['--json', @$options], @lines);
    is($code, 0, 'imported') or diag $err;
    return json_of($out);
}
sub refused {
    my ($workspace, $options, $told, @lines) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $before = rows();
    my ($code, $out, $err) = import_run($workspace, $options, @lines);
    is($code, 1, 'refused');
    is($err, join('', map { "portalctl: $_\n" } @$told, 'nothing was imported'), 'says where and why');
    is($out, '');
    is(rows(), $before, 'nothing was written');
}
sub rows { join ' ', map { $t->value("SELECT count(*) FROM portal.$_") } qw(customers members companies contacts portal_items
    file_share_sessions file_share_downloads file_share_payments events id_counters) }
sub counts { my ($summary) = @_; join ' ', map { "$_ $summary->{$_}{created}+$summary->{$_}{updated}" } grep { $summary->{$_}{created} + $summary->{$_}{updated} }
    qw(customers members companies contacts portal_items file_share_sessions file_share_downloads file_share_payments) }
sub uuid { sprintf '8e5613e4-4ff4-4e92-aca7-%012d', $_[0] }

subtest 'every kind, in any order' => sub {
    my @lines = (
        { kind => 'portal_item', contact_id => 5, module => 'invoices', external_id => 'i1', title => 'I', status => 'open', amount_cents => 7,
            due_at => '2026-01-01T00:00:00Z', data => { a => "tab\there \\ \"quoted\"\nline" } },
        { kind => 'contact', id => 5, name => 'Ann', email => 'Ann@GLOBEX.example', company_id => 9, customer_id => uuid(1), external_id => 'a' },
        { kind => 'contact', name => 'Next' },
        '',
        { kind => 'company', id => 9, name => 'Globex', created_at => '2019-01-02T03:04:05.678Z' },
        '  ',
        { kind => 'customer', id => uuid(1), email => 'Mike@EXAMPLE.com', external_id => 'cus_1', name => "Mike\t\\N", metadata => { plan => 'pro' },
            billing_address => { country => 'us', state => 'ny' }, created_at => '2020-01-01T01:00:00+01:00' },
    );
    my $summary = imported($ws, [], @lines);
    is_deeply($summary, { dry_run => false, lines => 5, customers => { created => 1, updated => 0 }, members => { created => 0, updated => 0 },
        companies => { created => 1, updated => 0 }, contacts => { created => 2, updated => 0 }, portal_items => { created => 1, updated => 0 },
        map { $_ => { created => 0, updated => 0 } } qw(file_share_sessions file_share_downloads file_share_payments) });
    my $mike = $t->ctl(qw(customer show cus_1 -w), $ws->{slug});
    is_deeply([@$mike{qw(id created_at modified_at email name type metadata)}], [uuid(1), '2020-01-01T00:00:00Z', undef, 'Mike@example.com', "Mike\t\\N",
        'individual', { plan => 'pro' }], 'ids and times are kept');
    is($mike->{billing_address}{state}, 'US-NY', 'checked as REST checks it');
    is($t->ctl(qw(company show 9 -w), $ws->{slug})->{created_at}, '2019-01-02T03:04:05.678000Z');
    is_deeply([@{ $t->ctl(qw(contact show 5 -w), $ws->{slug}) }{qw(email company_id customer_id)}], ['Ann@globex.example', 9, uuid(1)]);
    is($t->ctl(qw(contact show 6 -w), $ws->{slug})->{name}, 'Next', 'numbered after those that bring a number');
    is($t->ctl(qw(contact create --name Later -w), $ws->{slug})->{id}, 7);
    my $item = $t->ctl(qw(item show 1 -w), $ws->{slug});
    is_deeply([@$item{qw(external_id amount_cents due_at data)}], ['i1', 7, '2026-01-01T00:00:00Z', { a => "tab\there \\ \"quoted\"\nline" }]);
    is($t->value('SELECT count(*) FROM portal.events'), 0, 'nothing is announced');
};

subtest 'twice is refused, or changes what is there' => sub {
    my @lines = ({ kind => 'customer', email => 'mike@example.com', external_id => 'cus_1', name => 'Michael' },
        { kind => 'company', id => 9, name => 'Globex 2' }, { kind => 'contact', name => 'Anna', external_id => 'a', email => undef },
        { kind => 'portal_item', company_id => 9, module => 'invoices', external_id => 'i1', title => 'I2', status => 'paid' },
        { kind => 'customer', email => 'new@example.com' });
    refused($ws, [], ['line 1: email: A customer with this email address already exists.', 'line 1: external_id: A customer with this external ID already exists.'], @lines);
    refused($ws, [], ['line 1: id: A company with this id already exists.'], $lines[1]);
    refused($ws, [], ['line 1: external_id: A contact with this external ID already exists.'], $lines[2]);
    refused($ws, [], ['line 1: external_id: An item with this external ID already exists in this module.'], $lines[3]);
    refused($ws, [], ['line 1: id: A customer with this id already exists.'], { kind => 'customer', id => uuid(1), email => 'x@example.com' });
    is(counts(imported($ws, ['--update'], @lines)), 'customers 1+1 companies 0+1 contacts 0+1 portal_items 0+1');
    my $mike = $t->ctl(qw(customer show cus_1 -w), $ws->{slug});
    is_deeply([@$mike{qw(id name metadata)}], [uuid(1), 'Michael', { plan => 'pro' }], 'what is absent stays');
    is_deeply([@{ $t->ctl(qw(contact show 5 -w), $ws->{slug}) }{qw(name email company_id)}], ['Anna', undef, 9], 'null clears');
    is_deeply([@{ $t->ctl(qw(item show 1 -w), $ws->{slug}) }{qw(contact_id company_id title status amount_cents)}], [undef, 9, 'I2', 'paid', 7]);
    refused($ws, ['--update'], ['line 1: external_id: Customer external ID cannot be updated.'],
        { kind => 'customer', id => uuid(1), email => 'mike@example.com', external_id => 'cus_2' });
    refused($ws, ['--update'], ['line 1: email: A customer with this email address already exists.'],
        { kind => 'customer', external_id => 'cus_1', email => 'NEW@example.com' });
    refused($ws, ['--update'], ['line 2: customer: The same as on line 1.'],
        { kind => 'customer', external_id => 'cus_1', email => 'mike@example.com' }, { kind => 'customer', id => uuid(1), email => 'other@example.com' });
    is(counts(imported($other, [], map { { %$_, kind => $_->{kind} } } @lines[1, 2])), 'companies 1+0 contacts 1+0', 'another workspace has its own');
    refused($other, ['--update'], ['line 1: id: A customer with this id already exists.'], { kind => 'customer', id => uuid(1), email => 'x@example.com' });
};

subtest 'what is wrong is told with its line' => sub {
    refused($ws, [], ['line 2: JSON decode error: string or \'}\' expected', 'line 3: kind: Input should be \'customer\', \'member\', \'company\', \'contact\', \'portal_item\', \'file_share_session\', \'file_share_download\' or \'file_share_payment\'',
            'line 4: kind: Input should be \'customer\', \'member\', \'company\', \'contact\', \'portal_item\', \'file_share_session\', \'file_share_download\' or \'file_share_payment\'',
            'line 5: Input should be a valid dictionary or object to extract fields from',
            'line 6: id: Input should be a valid UUID, invalid length: expected length 32 for simple format, found 1; created_at: Input should be a valid datetime, '
                . 'invalid character in year; email: value is not a valid email address: An email address must have an @-sign.',
            'line 7: name: Field required', 'line 8: contact_id: Exactly one of contact_id and company_id is expected.'],
        { kind => 'customer', email => 'fine@example.com' }, '{', '{}', '{"kind":"x"}', '[]',
        { kind => 'customer', id => 1 . '', email => 'x', created_at => 'now' } , { kind => 'contact' },
        { kind => 'portal_item', module => 'tasks', external_id => 'x', title => 'x', status => 'x' });
    refused($ws, [], ['line 2: id: The same as on line 1.', 'line 3: external_id: The same as on line 1.', 'line 4: email: The same as on line 1.'],
        { kind => 'customer', id => uuid(7), email => 'a@example.com', external_id => 'e' }, { kind => 'customer', id => uuid(7), email => 'b@example.com' },
        { kind => 'customer', email => 'c@example.com', external_id => 'e' }, { kind => 'customer', email => 'A@example.com' });
    refused($ws, [], ['line 1: company_id: Company does not exist.', "line 1: customer_id: Customer does not exist."],
        { kind => 'contact', name => 'x', company_id => 77, customer_id => uuid(77) });
    refused($ws, [], ['line 1: a line has at most 1 MiB'], { kind => 'contact', name => 'x' x 1_100_000 });
    my ($code, undef, $err) = import_run($ws, [], map { '{' } 1 .. 50);
    is(scalar(() = $err =~ /line \d+:/g), 20, 'twenty of many');
    like($err, qr/nothing was imported; there may be more/);
    is(($t->ctl_run('import', '-w', $ws->{slug}, '/nowhere'))[0], 1, 'no file');
    like(($t->ctl_run('import', '-w', $ws->{slug}, $t->dir))[3], qr/it is a directory/);
    like(($t->ctl_run('import', '-w', 'nowhere', file()))[3], qr/Workspace not found/);
    is(($t->ctl_run('import', file()))[0], 2, 'no workspace');
    is(counts(imported($ws, [])), '', 'an empty file is nothing');
};

subtest 'members' => sub {
    my @people = ({ email => 'boss@example.com', role => 'owner', id => uuid(21) }, { email => 'bob@example.com', external_id => 'm2', name => 'Bob' });
    my $summary = imported($club, [], { kind => 'member', customer_id => uuid(11), email => 'c@example.com', role => 'billing_manager' },
        { kind => 'customer', id => uuid(11), email => 'team@example.com', type => 'team', external_id => 'team', members => \@people },
        { kind => 'customer', email => 'solo@example.com', name => 'Solo' },
        { kind => 'customer', email => 'pair@example.com', type => 'team', owner => { email => 'first@example.com' } });
    is(counts($summary), 'customers 3+0 members 5+0');
    my $roles = sub { join ' ', map { "$_->{role}:" . $_->{email} =~ s/@.*//r } @{ $t->ctl(qw(customer show), "$_[0]\@example.com", '-w', $club->{slug})->{members} } };
    is(join(' ', sort split / /, $roles->('team')), 'billing_manager:c member:bob owner:boss');
    is($roles->('solo'), 'owner:solo', 'made with the customer, as REST makes it');
    is($roles->('pair'), 'owner:first');
    refused($club, [], ['line 1: role: Customer must have exactly one owner.'], { kind => 'member', customer_id => uuid(11), email => 'd@example.com', role => 'owner' });
    refused($club, [], ['line 1: An individual customer has one member.'],
        { kind => 'customer', email => 'one@example.com', members => [{ email => 'a@example.com' }, { email => 'b@example.com' }] });
    refused($club, [], ['line 1: role: Customer must have exactly one owner.'],
        { kind => 'customer', email => 'two@example.com', type => 'team', members => [map { { email => "o$_\@example.com", role => 'owner' } } 1, 2] });
    refused($club, [], ['line 1: email: The same as on line 1.'],
        { kind => 'customer', email => 'two@example.com', type => 'team', members => [map { { email => "$_\@example.com" } } 'o', 'O'] });
    refused($club, [], ['line 1: members.1.email: Field required; members.2.email: Field required'],
        { kind => 'customer', email => 'two@example.com', type => 'team', members => [{ email => 'a@example.com' }, {}, 7] });
    refused($club, [], ['line 1: email: A member with this email address already exists.'], { kind => 'member', customer_id => uuid(11), email => 'BOB@example.com' });
    refused($club, [], ['line 1: customer_id: Customer does not exist.'], { kind => 'member', customer_id => uuid(1), email => 'x@example.com' });
    refused($ws, [], ['line 1: Member management is not enabled for this workspace'], { kind => 'member', customer_id => uuid(1), email => 'x@example.com' });
    is(counts(imported($club, ['--update'], { kind => 'member', customer_id => uuid(11), email => 'boss@example.com', name => 'Boss', role => 'member' },
        { kind => 'member', customer_id => uuid(11), email => 'bob@example.com', role => 'owner' })), 'members 0+2', 'a hand-over');
    is(join(' ', sort split / /, $roles->('team')), 'billing_manager:c member:boss owner:bob');
};

subtest 'file sharing' => sub {
    my $one = $t->workspace;
    my %session = (kind => 'file_share_session', id => uuid(31), external_customer_id => 'own', short_slug => 'one-file');
    my @lines = (
        { kind => 'file_share_payment', id => uuid(41), session_id => uuid(31), customer_id => uuid(30), amount_cents => 5, buyer_name => "B\t\\" },
        { kind => 'file_share_download', id => uuid(51), session_id => uuid(31), created_at => '2020-01-03T00:00:00Z', external_customer_id => 'own' },
        { kind => 'file_share_download', session_id => uuid(31), created_at => '2020-01-02T00:00:00Z', customer_id => uuid(30) },
        { kind => 'file_share_download', session_id => uuid(32) },
        { %session, created_at => '2020-01-01T00:00:00Z', status => 'active', max_downloads => 3, download_count => 3, currency => 'EUR', ttl_seconds => 60, title => 'T' },
        { kind => 'file_share_session', id => uuid(32), customer_id => uuid(30) },
        { kind => 'customer', id => uuid(30), email => 'buyer@example.com' }, { kind => 'customer', email => 'own@example.com', external_id => 'own' });
    is(counts(imported($one, [], @lines)), 'customers 2+0 file_share_sessions 2+0 file_share_downloads 3+0 file_share_payments 1+0');
    my $kept = sub { $t->row('SELECT *, portal.time_text(created_at) AS made, portal.time_text(expires_at) AS ends FROM portal.file_share_sessions WHERE id = ?', uuid($_[0])) };
    is_deeply([@{ $kept->(31) }{qw(made ends status download_count max_downloads modified_at)}],
        ['2020-01-01T00:00:00Z', '2020-01-01T00:01:00Z', 'active', 3, 3, undef], 'as it is told');
    is($kept->(32)->{download_count}, 1, 'or as the file counts');
    is_deeply($t->db->selectcol_arrayref('SELECT slot_number FROM portal.file_share_downloads WHERE session_id = ? ORDER BY created_at', undef, uuid(31)), [1, 2], 'numbered by time');
    is_deeply([@{ $t->row('SELECT * FROM portal.file_share_payments WHERE id = ?', uuid(41)) }{qw(status currency amount_cents buyer_name customer_id)}],
        ['pending', 'EUR', 5, "B\t\\", uuid(30)]);
    is($t->value('SELECT count(*) FROM portal.file_share_buyers WHERE customer_id = ?', uuid(30)), 1, 'who bought may see it');
    is($t->value('SELECT count(*) FROM portal.events'), 0, 'nothing is announced');

    refused($one, [], ['line 1: id: A session with this id already exists.', 'line 1: short_slug: A session with this slug already exists.'], $lines[4]);
    refused($one, [], ['line 2: id: A download with this id already exists.'], @lines[0, 1]);
    refused($one, [], ['line 1: id: A payment with this id already exists.'], $lines[0]);
    refused($one, ['--update'], ['line 1: session_id: The payment is of another session.'], { %{ $lines[0] }, session_id => uuid(32) });
    refused($other, ['--update'], ['line 1: external_customer_id: Customer does not exist.', 'line 1: id: A session with this id already exists.'], \%session);
    refused($other, [], ['line 1: customer_id: Customer does not exist.', 'line 1: session_id: Session does not exist.'],
        { kind => 'file_share_payment', session_id => uuid(31), amount_cents => 1, customer_id => uuid(30) });
    refused($one, [], ['line 1: session_id: Field required; amount_cents: Field required', 'line 2: session_id: Field required; slot_number: Input should be greater than or equal to 0',
        'line 3: customer_id: Field required'], { kind => 'file_share_payment' }, { kind => 'file_share_download', slot_number => -1 }, { kind => 'file_share_session' });
    refused($one, [], ['line 1: download_count: The download count cannot be above the maximum of downloads.', 'line 4: short_slug: The same as on line 1.'],
        { %session, id => uuid(33), short_slug => 'more', max_downloads => 1 }, (map { { kind => 'file_share_download', session_id => uuid(33) } } 1, 2),
        { %session, id => uuid(34), short_slug => 'more' });

    is(counts(imported($one, ['--update'], { %session, title => undef, status => 'completed' }, { %{ $lines[0] }, status => 'completed', customer_id => undef },
        { %{ $lines[1] }, slot_number => 9 }, { kind => 'file_share_download', session_id => uuid(31) })), 'file_share_sessions 0+1 file_share_downloads 1+1 file_share_payments 0+1');
    is_deeply([@{ $kept->(31) }{qw(status title max_downloads download_count)}], ['completed', undef, 3, 3], 'what is absent stays, null clears');
    is_deeply([@{ $t->row('SELECT * FROM portal.file_share_payments WHERE id = ?', uuid(41)) }{qw(status customer_id buyer_name)}], ['completed', undef, "B\t\\"]);
    is($t->value('SELECT string_agg(slot_number::text, chr(32) ORDER BY slot_number) FROM portal.file_share_downloads WHERE session_id = ?', uuid(31)), '1 3 9');
    refused($one, ['--update'], ['line 1: download_count: The download count cannot be above the maximum of downloads.'], { %session, max_downloads => 2 });
};

subtest 'the example in conf' => sub {
    my ($code, undef, $out, $err) = $t->ctl_run('import', '-w', $club->{slug}, '--json', PortalTest::root() . '/conf/import.jsonl');
    is($code, 0) or diag $err;
    is(counts(json_of($out)), 'customers 1+0 members 3+0 companies 1+0 contacts 1+0 portal_items 1+0 '
        . 'file_share_sessions 1+0 file_share_downloads 1+0 file_share_payments 1+0');
};

subtest '--dry-run, --announce, standard input, a table' => sub {
    my $before = rows();
    my $summary = imported($ws, ['--dry-run'], { kind => 'customer', email => 'dry@example.com' }, { kind => 'contact', name => 'Dry' });
    is_deeply([$summary->{dry_run}, counts($summary)], [true, 'customers 1+0 contacts 1+0']);
    is(rows(), $before, 'nothing was written');
    imported($ws, ['--announce'], { kind => 'customer', email => 'loud@example.com' },
        { kind => 'portal_item', contact_id => 5, module => 'tasks', external_id => 'loud', title => 'x', status => 'x' });
    is_deeply($t->db->selectcol_arrayref('SELECT type FROM portal.events ORDER BY type'), [qw(customer.created portal_item.created)], 'announced');
    my $file = file({ kind => 'contact', name => 'Piped' });
    my ($code, undef, $out, $err) = $t->run('ctl', 'bash', '-c', "cat $file | " . PortalTest::build() . '/portalctl --config ' . $t->dir . "/portal.toml import -w $ws->{slug} -");
    is($code, 0) or diag $err;
    like($out, qr/^KIND +CREATED +UPDATED\n/);
    like($out, qr/^contacts +1 +0\n/m);
    like($out, qr/^1 lines\.\n\z/m);
    is($err, '', 'no progress where there is no terminal');
};

subtest 'a bar on a terminal' => sub {
    my $file = file(map { { kind => 'contact', name => "T$_" } } 1 .. 20000);
    my $command = PortalTest::build() . '/portalctl --config ' . $t->dir . "/portal.toml import -w $ws->{slug} $file";
    my ($code, $out) = $t->run('ctl', 'script', '-qec', $command, '/dev/null');
    is($code, 0) or diag $out;
    like($out, qr/\[#*\.*\] \d+ %  \d+ lines/, 'a bar');
    like($out, qr/writing contacts/);
    is($t->value('SELECT max(id) - min(id) + 1 FROM portal.contacts WHERE workspace_id = ? AND name ~ ?', $ws->{id}, '^T\d'), 20000, 'numbered in one row');
};

subtest 'a file of many customers' => sub {
    my $many = $ENV{PORTAL_LONG} ? 100_000 : 20_000;
    my $big = $t->workspace;
    my @lines = map { qq({"kind":"customer","id":"@{[uuid(1_000_000 + $_)]}","email":"c$_\@example.com","external_id":"cus_$_","name":"Customer $_",)
        . q("metadata":{"plan":"pro"},"billing_address":{"country":"DE","city":"Bonn"},"created_at":"2020-01-01T00:00:00Z"}) } 1 .. $many;
    my @bad = @lines[0 .. 9_999];
    $bad[4_999] =~ s/c5000\@example\.com/nobody/;
    refused($big, [], ['line 5000: email: value is not a valid email address: An email address must have an @-sign.'], @bad);
    @bad = @lines[0 .. 9_999];
    $bad[9_999] =~ s/c10000\@/C77\@/;
    refused($big, [], ['line 10000: email: The same as on line 77.'], @bad);
    my $start = time;
    my $summary = imported($big, [], @lines);
    my $seconds = time - $start;
    is(counts($summary), "customers $many+0");
    diag sprintf '%d customers imported in %.1f s', $many, $seconds;
    cmp_ok($seconds, '<', PortalTest::asan() ? 150 : 60, 'in time');    # some 10 s on a machine that does nothing else
    is($t->value('SELECT count(*) FROM portal.customers WHERE workspace_id = ?', $big->{id}), $many);
    $start = time;
    is(counts(imported($big, ['--update'], map { s/"name":"C/"name":"D/r } @lines[0 .. 9_999])), 'customers 0+10000', 'changed');
    cmp_ok(time - $start, '<', PortalTest::asan() ? 60 : 20, 'and those are found without a search for each');
    diag sprintf '10000 of them changed in %.1f s', time - $start;
    is($t->value(q(SELECT count(*) FROM portal.customers WHERE workspace_id = ? AND name LIKE 'D%'), $big->{id}), 10_000);
};

$t->done;
