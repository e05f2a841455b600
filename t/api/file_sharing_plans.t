# The lists of file sharing with a million sessions in the workspace: one statement a page, from indexes alone, and how
# long PostgreSQL takes for it. What is measured are the worker's own statements, by auto_explain in its connections.
use strict; use warnings; use utf8;
use JSON::XS;
use Test::More;
use Time::HiRes qw(time);
use PortalTest;

my $t = PortalTest->new(workers => 1, helper => 0, nginx => 0, unsearched => 'a dump of a million rows');
my $budget = PortalTest::asan() ? 50 : 10;    # ms
my $ws = $t->workspace;
my ($owner, $buyer, $both, $crowd) = map { $t->customer($ws) } 1 .. 4;
my $sessions = '/api/customer-portal/file-sharing/sessions';

# Of every hundred sessions one is $owner's and one bought by $buyer; of every two hundred $both owns one and has bought
# another; the rest are $crowd's, sold to others. A million payments, one of each buyer and $crowd's. No trigger and no
# foreign key looks, and the lists' indexes are made when the rows are there; no autovacuum gets between. Commits are
# waited for: VACUUM calls no row visible to all whose commit is not on disk yet, and then each is looked up.
my $start = time;
my $table = 'portal.file_share_sessions';
my $rules = $t->db->selectcol_arrayref(q{SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('u', 'c')
    AND conname <> 'file_share_sessions_workspace_id'}, undef, $table);
my @lists = grep { $_->[0] =~ /_of_/ } map { @{ $t->db->selectall_arrayref('SELECT indexrelid::regclass, pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indrelid = $1::regclass', undef, $_) } } $table, 'portal.file_share_payments';
my $fill = sub { my ($sql, @bind) = @_; $t->db->do($sql, undef, @bind) };
$fill->($_) for 'ALTER SYSTEM SET autovacuum = off', 'SELECT pg_reload_conf()', 'SET session_replication_role = replica', 'SET synchronous_commit = on', q{SET maintenance_work_mem = '256MB'},
    (map { "ALTER TABLE $table DROP CONSTRAINT $_" } @$rules), map { "DROP INDEX $_->[0]" } @lists;
$fill->(qq{INSERT INTO $table (id, created_at, workspace_id, customer_id, short_slug, long_slug, status, download_count, title, file_name)
    SELECT (lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000')::uuid, '2026-01-01'::timestamptz + n * interval '1 s', \$1::uuid,
           CASE n % 200 WHEN 0 THEN \$2 WHEN 100 THEN \$2 WHEN 1 THEN \$3 ELSE \$4 END::uuid, 'short-' || n, 'long-' || n,
           (ARRAY['created', 'active', 'completed', 'expired'])[1 + (n / 100) % 4], n % 7, 'Title ' || n, 'file' || n || '.zip'
      FROM generate_series(0, 999999) n}, map { $_->{id} } $ws, $owner, $both, $crowd);
$fill->(qq{INSERT INTO portal.file_share_buyers
    SELECT workspace_id, who, id, created_at FROM (
        SELECT *, substr(short_slug, 7)::int AS n FROM $table) s,
        LATERAL (SELECT \$1::uuid AS who WHERE n % 100 = 7 UNION ALL SELECT \$2::uuid WHERE n % 200 = 7
                 UNION ALL SELECT gen_random_uuid() WHERE n % 10 = 9) buyers}, $buyer->{id}, $both->{id});
$fill->(qq{INSERT INTO portal.file_share_payments (id, workspace_id, session_id, customer_id, amount_cents, currency, created_at)
    SELECT CASE WHEN b.customer_id IS NULL THEN s.id ELSE gen_random_uuid() END, s.workspace_id, s.id, coalesce(b.customer_id, \$1::uuid), 100, 'usd', s.created_at
      FROM $table s LEFT JOIN portal.file_share_buyers b ON b.workspace_id = s.workspace_id AND b.session_id = s.id}, $crowd->{id});
$fill->($_->[1]) for @lists;
$fill->("VACUUM ANALYZE portal.file_share_$_") for qw(sessions buyers payments);
$fill->('SET session_replication_role = origin');
diag sprintf 'filled in %.1f s', time - $start;

$fill->($_) for q{ALTER ROLE portal_web SET session_preload_libraries = 'auto_explain'},
    'ALTER ROLE portal_web SET log_executor_stats = on', map { "ALTER ROLE portal_web SET auto_explain.$_" } 'log_min_duration = 0', 'log_analyze = on', 'log_buffers = on',
        'log_timing = off', 'log_nested_statements = off', q{log_format = 'json'};
$t->start('nginx');
my %session = map { $_->[0] => $t->session($_->[1]) } ['owner', $owner], ['buyer', $buyer], ['both', $both];
my $token = $t->token($ws, 'file_sharing:read');

# Every statement explained since the last call: {text, ms, took, nodes}. ms is the processor's time, which is the
# database's on a machine with other things to do, too; took is the clock's.
my $read = 0;
sub explained {
    my $log = substr $t->log_text('postgres.log'), $read;
    $read += length $log;
    my @all;
    my $ms;
    while ($log =~ /EXECUTOR STATISTICS\n.*\n\t!\t([\d.]+) s user, ([\d.]+) s system|duration: ([\d.]+) ms  plan:\n((?:\t.*\n)+)/g) {
        $ms = 1000 * ($1 + $2), next if defined $1;
        my ($took, $text) = ($3, $4);
        my $plan = JSON::XS->new->utf8->decode($text);
        push @all, { text => $plan->{'Query Text'}, ms => $ms, took => $took, nodes => [nodes($plan->{Plan})] };
    }
    return @all;
}
sub nodes { my ($plan) = @_; ($plan, map { nodes($_) } @{ $plan->{Plans} // [] }) }

# Asks often enough for the generic plan, and looks at all of it: the answer, one statement each time, how it went
# about it, the median of how long it took.
sub measure {
    my ($path, $bearer, $total, $rows, $limit, $whole) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    subtest "$path: $total" => sub {
        $t->get($path, token => $bearer);    # its credential is in the zone from now on
        explained();
        my @answers = map { $t->get($path, token => $bearer) } 1 .. 11;
        is_status($answers[-1], 200);
        my $body = json_of($answers[-1]);
        is($body->{meta}{total}, $total, 'the total is true');
        is(scalar @{ $body->{data} }, $rows, 'rows');
        my @plans = grep { $_->{text} =~ /file_share_/ } explained();
        is(scalar @plans, 11, 'one statement a page');
        is_deeply([map { $_->{'Relation Name'} } grep { $_->{'Node Type'} eq 'Seq Scan' } map { @{ $_->{nodes} } } @plans], [],
            'no table is read from end to end') unless $whole;
        my ($ms, $took) = map { my $key = $_; (sort { $a <=> $b } map { $_->{$key} } @plans)[5] } qw(ms took);
        cmp_ok($ms, '<', $limit, sprintf 'median of %.2f ms', $ms);
        diag sprintf '%-82s %7.2f ms, %7.2f by the clock', $path =~ s/[0-9a-f-]{36}/ID/r, $ms, $took;
        diag explain [map { "$_->{'Node Type'} " . join(" ", map { $_ // "-" } @$_{"Index Name", "Actual Rows", "Heap Fetches", "Shared Hit Blocks", "Shared Read Blocks"}) } @{ $plans[-1]{nodes} }]
            unless $ms < $limit && !$ENV{PORTAL_T_PLANS};
    };
}

for my $name (qw(owner buyer both)) { measure("$sessions?page=$_", $session{$name}, 10_000, 10, $budget) for 1, 1000 }
measure("$sessions?sorting=created_at&page=$_", $session{owner}, 10_000, 10, $budget) for 1, 1000;
measure("$sessions?page=1001", $session{owner}, 10_000, 0, $budget);
measure("/api/customer-portal/payments?page=$_", $session{buyer}, 10_000, 10, $budget) for 1, 1000;
# any other order is read from the same index, and then sorted
measure("$sessions?sorting=$_&page=1000", $session{owner}, 10_000, 10, 3 * $budget) for qw(status -download_count);
measure("$sessions?status=active", $session{owner}, 2_500, 10, $budget);
# a search reads the customer's rows, and no others
measure("$sessions?query=Title%20100", $session{owner}, 13, 10, 10 * $budget);

# The whole workspace's: the page costs as little, but a million rows are counted.
measure("/api/file-sharing/sessions?page=$_", $token, 1_000_000, 10, 100 * $budget, 'whole') for 1, 1000;
measure("/api/file-sharing/sessions?customer_id=$owner->{id}", $token, 10_000, 10, 10 * $budget);
measure('/api/file-sharing/sessions?query=Title%20100&sorting=-download_count', $token, 1111, 10, 400 * $budget, 'whole');

$t->done;
