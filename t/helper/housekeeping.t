# What is over and old is purged, what is not stays; helpers share the work; ages are the configuration's.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0, redis => 0, helper => 0, toml => "housekeeping.interval = 1\nhousekeeping.batch = 7\n");
my $ws = $t->workspace;
my $customer = $t->customer($ws);
my $member = $t->member($t->customer($ws, type => 'team'));
my $contact = $t->contact($ws);
my $hash = 0;
sub hash { sprintf '%064x', ++$hash }
sub count { my ($table, $where, @bind) = @_; $t->value("SELECT count(*) FROM portal.$table WHERE $where", @bind) }
sub ago { my ($days) = @_; $t->value("SELECT now() - ? * interval '1 day'", $days) }
sub purged { my ($what, $log) = @_; my $sum = 0; $sum += $_ for $t->log_text($log // 'helper.log') =~ /purged (\d+) \Q$what\E/g; $sum }
# Waits until the helper has been round once more: what is looked for is gone, and what comes last in a round, too.
sub round {
    my $id = $t->insert('audit_log', { workspace_id => $ws->{id}, action => 'round', target => 'workspace:1', created_at => ago(401) })->{id};
    ok($t->wait_for(sub { !count(audit_log => 'id = ?', $id) }), 'a round');
}

my %ends = (living => [-1, undef], ended => [6, undef], revoked => [-1, 6], 'long ended' => [8, undef], 'long revoked' => [-1, 8],
    'long revoked, just ended' => [1, 8]);
subtest 'before' => sub {
    for my $name (sort keys %ends) {
        my ($expired, $revoked) = map { defined ? ago($_) : undef } @{ $ends{$name} };
        for my $n (1 .. 10) {
            my %row = (workspace_id => $ws->{id}, token_hash => hash(), secret_id => 'k1', expires_at => $expired, revoked_at => $revoked);
            $t->insert('customer_sessions', { %row, token_hash => hash(), customer_id => $customer->{id}, return_url => "https://x/$name" });
            $t->insert('member_sessions', { %row, token_hash => hash(), customer_id => $member->{customer_id}, member_id => $member->{id}, return_url => "https://x/$name" });
        }
    }
    for ([1, undef], [-89, undef], [-91, undef], [100, -91]) {
        my ($expires, $revoked) = map { defined ? ago(-$_) : undef } @$_;
        $t->insert('client_portal_tokens', { workspace_id => $ws->{id}, contact_id => $contact->{id}, token_hash => hash(), secret_id => 'k1',
            expires_at => $expires, revoked_at => $revoked });
    }
    for my $row (['sent', 31], ['sent', 29], ['failed', 31], ['failed', 29]) {
        my ($state, $days) = @$row;
        $t->insert('outbox', { workspace_id => $ws->{id}, kind => 'portal_invitation', state => $state, "${state}_at" => ago($days), created_at => ago($days) });
    }
    my $link = $t->value('SELECT id FROM portal.client_portal_tokens WHERE revoked_at IS NULL AND expires_at > now()');
    for my $days (0.9, 1.1, 3) {
        my $id = $t->insert('login_challenges', { id => $t->value('SELECT gen_random_uuid()'), email => 'nobody@example.com', address_key => 'x',
            decoy => 0, created_at => ago($days), expires_at => ago($days) })->{id};
        $t->insert('outbox', { kind => 'login_code', challenge_id => $id, state => 'sent', sent_at => ago($days) });
        $id = $t->insert('link_challenges', { id => $t->value('SELECT gen_random_uuid()'), workspace_id => $ws->{id}, token_id => $link, created_at => ago($days),
            expires_at => ago($days) })->{id};
        $t->insert('outbox', { workspace_id => $ws->{id}, kind => 'link_code', link_challenge_id => $id, state => 'sent', sent_at => ago($days) });
    }
    $t->insert('outbox', { workspace_id => $ws->{id}, kind => 'portal_invitation', created_at => ago(99), next_attempt_at => ago(-1) });
    my $key = 0;
    $t->insert('idempotency_keys', { workspace_id => $ws->{id}, principal_id => $ws->{id}, method => 'POST', path => '/', key => ++$key,
        payload_hash => 'x', resource_id => $ws->{id}, expires_at => ago($_) }) for (0.001) x 20, (-0.5) x 3;
    $t->insert('audit_log', { workspace_id => $ws->{id}, action => 'test', target => 'workspace:1', created_at => ago($_) }) for 399, 401, 500;
    my $endpoint = $t->insert('webhook_endpoints', { workspace_id => $ws->{id}, url => 'https://example.org/', enabled => 'f' })->{id};
    for my $row (['succeeded', 31], ['failed', 31], ['succeeded', 29], ['pending', 31]) {
        my ($state, $days) = @$row;
        my $delivery = $t->insert('webhook_deliveries', { workspace_id => $ws->{id}, endpoint_id => $state eq 'pending' ? $t->insert('webhook_endpoints',
            { workspace_id => $ws->{id}, url => 'https://example.org/', event_types => '{payment.updated}', paused_until => ago(-1) })->{id} : $endpoint,
            event_id => $t->value('SELECT gen_random_uuid()'), type => 'customer.created', timestamp => ago($days), data => '{}', state => $state,
            created_at => ago($days), next_attempt_at => ago(-1), finished_at => $state eq 'pending' ? undef : ago($days) })->{id};
        $t->insert('webhook_attempts', { workspace_id => $ws->{id}, delivery_id => $delivery, created_at => ago($days), status => 204, duration_ms => 1 });
    }
    $t->insert('webhook_endpoints', { workspace_id => $ws->{id}, url => 'https://example.org/', enabled => 'f', deleted_at => ago($_) }) for 29, 31;
    $t->insert('webhook_secrets', { workspace_id => $ws->{id}, endpoint_id => $endpoint, ciphertext => '1.k1.x', expires_at => $_ }) for ago(0.1), ago(-0.5), undef;
    is(count(customer_sessions => 'true'), 60);
};

# rows somebody holds stay unnumbered
my $holding = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=postgres", '', '', { RaiseError => 1, AutoCommit => 0 });
my @told = ("'{\"workspace\": true}'", "'{\"customer\": \"$customer->{id}\"}'");
subtest 'events' => sub {
    $t->db->do('DELETE FROM portal.events');
    my $number = 0;
    my $make = sub {
        my ($count, $days, $audience, $type, $numbered) = @_;
        $t->db->do("INSERT INTO portal.events (workspace_id, number, type, audience, data, timestamp)
            SELECT ?, CASE WHEN ? THEN ?::bigint + n END, ?, $audience, '{}', now() - ? * interval '1 day' + n * interval '1 ms'
              FROM generate_series(1, ?) n", undef, $ws->{id}, $numbered // 1, $number, $type, $days, $count);
        $number += $count;
        $t->db->do('INSERT INTO portal.event_audiences SELECT workspace_id, one, number FROM portal.events, portal.audiences_of(audience) one
            WHERE type = ? AND number IS NOT NULL', undef, $type);
    };
    $make->(1, 50, "'{\"workspace\": true, \"contact\": 1}'", 'old for one audience alone');
    $make->(30, 40, $told[0], 'old beyond the last 1,000');
    $make->(400, 35, $told[0], 'old within the last 1,000');
    $make->(600, 3, $told[0], 'young');
    $make->(10, 40, $told[1], 'of a quiet audience');
    $make->(20, 40, 'NULL', 'nobody sees');
    $make->(5, 0.5, 'NULL', 'nobody sees, young');
    $make->(5, 40, 'NULL', 'not told yet', 0);
    $t->db->do('INSERT INTO portal.event_counters VALUES (?, ?, ?)', undef, $ws->{id}, $number, $number);
    $holding->do('SELECT FROM portal.events WHERE number IS NULL FOR UPDATE');
    is(count(events => 'true'), 1071);
};

$t->start('helper');

subtest 'sessions' => sub {
    round();
    for my $table (qw(customer_sessions member_sessions)) {
        for my $name (sort keys %ends) {
            is(count($table => 'return_url = ?', "https://x/$name"), $name =~ /long/ ? 0 : 10, "$table: $name");
        }
    }
    is(purged('customer sessions'), 30, 'the log tells how many');
};

subtest 'portal tokens, mail, idempotency keys, audit rows' => sub {
    is(count(client_portal_tokens => 'true'), 2, 'tokens that ended 91 days ago are gone');
    is(count(client_portal_tokens => "least(expires_at, revoked_at) < now() - interval '90 days'"), 0);
    is_deeply($t->db->selectcol_arrayref(q(SELECT state FROM portal.outbox WHERE kind = 'portal_invitation' ORDER BY state)), [qw(failed queued sent)], 'mail of 31 days is, but what waits');
    is(count(idempotency_keys => 'true'), 3, 'keys that are over');
    is(count(login_challenges => 'true'), 1, 'login codes of yesterday');
    is(count(link_challenges => 'true'), 1, 'link codes of yesterday');
    is(count(outbox => "kind LIKE '%_code'"), 2, 'with their mail');
    is_deeply($t->db->selectcol_arrayref('SELECT state FROM portal.webhook_deliveries ORDER BY 1'), [qw(pending succeeded)], 'webhooks done 31 days ago');
    is(count(webhook_attempts => 'true'), 1, 'attempts of 31 days');
    is(count(webhook_endpoints => 'deleted_at IS NOT NULL'), 1, 'endpoints deleted 31 days ago');
    is(count(webhook_secrets => 'true'), 2, 'a secret that signs no more');
    is(count(audit_log => "action = 'test'"), 1, 'audit rows of 401 days');
};

subtest 'events: those told, old, and beyond the last 1,000 of their audience' => sub {
    ok($t->wait_for(sub { !count(events => "type = 'old beyond the last 1,000'") && !count(events => "type = 'nobody sees'") }), 'are gone');
    ok($t->wait_for(sub { purged('events') == 50 }), 'the log tells how many');
    my %left = map { @$_ } @{ $t->db->selectall_arrayref('SELECT type, count(*) FROM portal.events GROUP BY 1') };
    is_deeply({ map { @$_ } @{ $t->db->selectall_arrayref('SELECT audience, number FROM portal.event_floors') } },
        { workspace => 31 }, 'how far it has come is noted');
    is_deeply(\%left, { 'old within the last 1,000' => 400, young => 600, 'of a quiet audience' => 10, 'nobody sees, young' => 5, 'not told yet' => 5,
        'old for one audience alone' => 1 }, 'and nothing else');
    is(count(event_audiences => 'number = 1'), 1, 'which sees it still');
    $holding->rollback;
    $holding->disconnect;
};

subtest 'people deleted softly stay' => sub {
    $t->db->do("UPDATE portal.$_ SET deleted_at = now() - interval '10 years'") for qw(customers contacts);
    round();
    is(count(customers => 'deleted_at IS NOT NULL'), 2, 'customers');
    is(count(contacts => 'deleted_at IS NOT NULL'), 1, 'contacts');
};

subtest 'a row somebody holds does not stop the others' => sub {
    my @ids = map { $t->insert('customer_sessions', { workspace_id => $ws->{id}, customer_id => $customer->{id}, token_hash => hash(),
        secret_id => 'k1', expires_at => ago(20) })->{id} } 1 .. 3;
    # before the helper sees them
    my $dbh = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=postgres", '', '', { RaiseError => 1, AutoCommit => 0 });
    my $mine = $t->insert('customer_sessions', { workspace_id => $ws->{id}, customer_id => $customer->{id}, token_hash => hash(),
        secret_id => 'k1', expires_at => ago(-1) })->{id};
    $dbh->do("UPDATE portal.customer_sessions SET expires_at = now() - interval '20 days' WHERE id = ?", undef, $mine);
    ok($t->wait_for(sub { !count(customer_sessions => 'id = ANY (?)', \@ids) }), 'they go');
    $dbh->commit;
    ok($t->wait_for(sub { !count(customer_sessions => 'id = ?', $mine) }), 'it goes, once let go');
    $dbh->disconnect;
};

subtest 'two helpers share the work' => sub {
    my $dir = $t->dir;
    $t->write_file('second.toml', PortalTest::slurp("$dir/portal.toml") =~ s/helper\.sock/second.sock/r);
    $t->spawn('helper2', [], PortalTest::build() . '/portal-helper', '--config', "$dir/second.toml");
    ok($t->wait_for(sub { -S "$dir/second.sock" }), 'a second one');
    my $before = purged('customer sessions');
    $t->db->do("INSERT INTO portal.customer_sessions (workspace_id, customer_id, token_hash, secret_id, expires_at)
        SELECT ?, ?, repeat(md5(n::text), 2), 'k1', now() - interval '20 days' FROM generate_series(1, 500) n", undef, $ws->{id}, $customer->{id});
    ok($t->wait_for(sub { !count(customer_sessions => "expires_at < now() - interval '7 days'") }, 20), 'all are gone');
    my $sum = 0;
    $t->wait_for(sub { $sum = purged('customer sessions') - $before + purged('customer sessions', 'helper2.log'); $sum == 500 });
    is($sum, 500, 'each once');
    unlike($t->log_text($_), qr/ error /, "$_: no error") for qw(helper.log helper2.log);
    $t->stop('helper2');
};

subtest 'its ages are configured' => sub {
    $t->stop('helper');
    $t->insert('customer_sessions', { workspace_id => $ws->{id}, customer_id => $customer->{id}, token_hash => hash(), secret_id => 'k1',
        expires_at => ago(3) });
    $t->write_file('portal.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/^housekeeping.batch.*/housekeeping.sessions = 2/mr);
    $t->start('helper');
    ok($t->wait_for(sub { !count(customer_sessions => "expires_at < now() - interval '2 days'") }), 'after two days');
    for my $case (['interval = 0', qr/"housekeeping.interval" is to be a number from 1 to 86400/], ['events = 0', qr/"housekeeping.events" is to be a number from 1/],
        ['sessions = "7"', qr/"housekeeping.sessions" is to be a number/], ['nonsense = 1', qr/"housekeeping.nonsense" is not known/]) {
        my ($line, $pattern) = @$case;
        $t->write_file('bad.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/^housekeeping\..*\n//mgr . "[housekeeping]\n$line\n");
        my ($code, $both) = $t->run('helper', PortalTest::build() . '/portal-helper', '--check', '--config', $t->dir . '/bad.toml');
        is($code, 1, $line);
        like($both, $pattern, "$line: says why");
    }
};

$t->done;
