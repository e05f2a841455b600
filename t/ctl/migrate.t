# portalctl migrate: idempotent, one at a time, whole files or nothing, never against a newer database.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my @files = map { m{/(\d{3}_[^/]+)\.sql$} } sort glob PortalTest::root() . '/conf/sql/*.sql';
my $newest = $files[-1] =~ s/_.*//r + 0;

is_deeply($t->ctl('migrate'), { version => $newest, applied => [] }, 'nothing to do');
like(($t->ctl_run('migrate'))[1], qr/^Nothing to do: the schema is at version $newest\.$/m);
is_deeply([map { $_->[0] } @{ $t->db->selectall_arrayref('SELECT name FROM portal.schema_migrations ORDER BY version') }],
    \@files, 'every file is booked');

# a database of its own, from nothing
$t->db->do('CREATE DATABASE other OWNER portal_owner');
$t->write_file('other.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/dbname=portal/dbname=other/gr);
my $other = $t->dir . '/other.toml';
my $dsn = "dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=other;user=postgres";

subtest 'two at once' => sub {
    my @pids = map {
        my $name = $_;
        my $pid = fork;
        if (!$pid) {
            open STDOUT, '>', "$t->{dir}/$name.out";
            open STDERR, '>&', \*STDOUT;
            exec PortalTest::build() . '/portalctl', '--config', $other, 'migrate', '--json' or POSIX::_exit(127);
        }
        $pid;
    } qw(one two);
    my @codes = map { waitpid $_, 0; $? } @pids;
    is_deeply(\@codes, [0, 0], 'both succeed') or diag map { PortalTest::slurp("$t->{dir}/$_.out") } qw(one two);
    my @applied = sort { $a <=> $b } map { scalar @{ json_of(PortalTest::slurp("$t->{dir}/$_.out"))->{applied} } } qw(one two);
    is_deeply(\@applied, [0, scalar @files], 'one of them applies everything');
};

subtest 'a file that fails' => sub {
    my $dir = "$t->{dir}/sql";
    system('cp', '-r', PortalTest::root() . '/conf/sql', $dir) == 0 or die;
    my $next = sprintf '%03d', $newest + 1;
    $t->write_file("sql/${next}_bad.sql", "CREATE TABLE portal.half (id int);\nSELECT nonsense;\n");
    my ($code, $both) = $t->ctl_run('--config', $other, 'migrate', '--migrations', $dir);
    is($code, 1);
    like($both, qr/${next}_bad failed and was rolled back: .*nonsense/s);
    my $db = DBI->connect($dsn, '', '', { RaiseError => 1 });
    is(($db->selectrow_array("SELECT to_regclass('portal.half')"))[0], undef, 'nothing of it is left');
    is(($db->selectrow_array('SELECT max(version) FROM portal.schema_migrations'))[0], $newest);

    $t->write_file("sql/${next}_bad.sql", "CREATE TABLE portal.whole (id int);\n");
    is_deeply($t->ctl('--config', $other, 'migrate', '--migrations', $dir),
        { version => $newest + 1, applied => ["${next}_bad"] }, 'mended, it is applied');

    ($code, $both) = $t->ctl_run('--config', $other, 'migrate');
    is($code, 1, 'a newer database is refused');
    like($both, qr/schema version @{[$newest + 1]}, these files end at $newest/);
    $db->disconnect;
};

subtest 'payments told before 026 are no longer the whole team\'s' => sub {
    $t->db->do('CREATE DATABASE older OWNER portal_owner');
    $t->write_file('older.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/dbname=portal/dbname=older/gr);
    mkdir "$t->{dir}/older";
    system('cp', (grep { m{/(\d{3})_[^/]+$} && $1 < 26 } glob PortalTest::root() . '/conf/sql/*.sql'), "$t->{dir}/older") == 0 or die;
    $t->ctl('--config', "$t->{dir}/older.toml", 'migrate', '--migrations', "$t->{dir}/older");
    my $db = DBI->connect($dsn =~ s/dbname=other/dbname=older/r, '', '', { RaiseError => 1 });
    my ($ws) = $db->selectrow_array(q(INSERT INTO portal.workspaces (name, slug) VALUES ('Acme', 'acme') RETURNING id));
    my ($customer) = $db->selectrow_array('SELECT gen_random_uuid()');
    my @types = ('payment.updated', 'customer.updated', 'payment.updated');
    $db->do('DELETE FROM portal.events');
    $db->do(q(INSERT INTO portal.events (workspace_id, type, audience, data, number) VALUES (?, ?, ?::jsonb, '{}', ?)), undef, $ws, @$_)
        for map { [$types[$_ - 1], qq({"customer": "$customer"}), $_ == 3 ? undef : $_] } 1 .. 3;
    $db->do('INSERT INTO portal.event_audiences VALUES (?, ?, ?)', undef, $ws, "customer:$customer", $_) for 1, 2;
    $t->ctl('--config', "$t->{dir}/older.toml", 'migrate');
    is_deeply($db->selectall_arrayref('SELECT audience, number FROM portal.event_audiences ORDER BY number'),
        [["payments:$customer", 1], ["customer:$customer", 2]], 'in what is replayed');
    is_deeply($db->selectcol_arrayref('SELECT portal.audiences_of(audience) FROM portal.events ORDER BY sequence'),
        ["payments:$customer", "customer:$customer", "payments:$customer"], 'and in what has no number yet');
    $db->disconnect;
};

subtest 'no files' => sub {
    mkdir "$t->{dir}/empty";
    my ($code, $both) = $t->ctl_run('migrate', '--migrations', "$t->{dir}/empty");
    is($code, 2);
    like($both, qr/no migrations in/);
    $t->write_file('empty/001_a.sql', '');
    $t->write_file('empty/001_b.sql', '');
    ($code, $both) = $t->ctl_run('migrate', '--migrations', "$t->{dir}/empty");
    is($code, 2);
    like($both, qr/two migrations have one number/);
};

subtest 'without the schema' => sub {
    $t->db->do('CREATE DATABASE bare OWNER portal_owner');
    $t->write_file('bare.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/dbname=portal/dbname=bare/gr);
    my ($code, $both) = $t->ctl_run('--config', "$t->{dir}/bare.toml", 'workspace', 'list');
    is($code, 1);
    like($both, qr/run: portalctl migrate/);
};

$t->done;
