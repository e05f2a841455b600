# The SQL door of file sharing: a site's own role writes its sessions, downloads and payments, under the rules of REST.
use strict; use warnings; use utf8;
use DBI;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my ($owner, $buyer) = map { $t->customer($ws) } 1 .. 2;
my $foreign = $t->customer($other);
$t->db->do('CREATE ROLE acme_site LOGIN IN ROLE portal_site');
$t->db->do('INSERT INTO portal.site_roles VALUES (?, ?)', undef, 'acme_site', $ws->{id});
sub connect_as { DBI->connect('dbi:Pg:host=' . $t->dir . "/pg;port=$t->{postgres_port};dbname=portal;user=$_[0]", '', '',
    { RaiseError => 1, PrintError => 0, pg_enable_utf8 => 1 }) }
my $site = connect_as('acme_site');
sub insert { my ($db, $table, %row) = @_; my @names = sort keys %row;
    $db->selectrow_hashref("INSERT INTO portal.file_share_$table (" . join(', ', @names) . ') VALUES ('
        . join(', ', ('?') x @names) . ') RETURNING *', undef, @row{@names}) }
sub share { insert($site, 'sessions', workspace_id => $ws->{id}, customer_id => $owner->{id}, @_) }
# the constraint or the sentence of what is refused
sub refused {
    my ($code, $word, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $done = eval { $code->(); 1 };
    ok(!$done, $name // $word);
    like($@, qr/\Q$word/, '  says so');
}
sub count { $t->value("SELECT count(*) FROM portal.file_share_$_[0]") }
sub events { join ' ', @{ $t->db->selectcol_arrayref('SELECT type FROM portal.events WHERE type !~ \'customer\\.\' ORDER BY timestamp, type') } }

subtest 'what is not told is filled in' => sub {
    my $s = share();
    like($s->{short_slug}, qr/^[a-z2-9]{10}$/, 'slug');
    like($s->{long_slug}, qr/^[a-z2-9]{32}$/, 'long slug');
    is_deeply([@$s{qw(status max_downloads download_count currency ttl_seconds expires_at modified_at)}], ['created', 0, 0, 'usd', 0, undef, undef]);
    my $d = insert($site, 'downloads', session_id => $s->{id}, customer_id => $buyer->{id});
    is_deeply([@$d{qw(workspace_id slot_number)}], [$ws->{id}, 1], 'of a download the workspace and the slot');
    my $p = insert($site, 'payments', session_id => $s->{id}, amount_cents => 5, buyer_email => 'Bea@EXAMPLE.com');
    is_deeply([@$p{qw(workspace_id status currency platform_fee_cents buyer_email)}], [$ws->{id}, 'pending', 'usd', 0, 'Bea@example.com']);
    $site->do("UPDATE portal.file_share_sessions SET title = 'New' WHERE id = ?", undef, $s->{id});
    $site->do("UPDATE portal.file_share_payments SET status = 'completed' WHERE id = ?", undef, $p->{id});
    ok($t->value("SELECT modified_at FROM portal.file_share_$_->[0] WHERE id = ?", $_->[1]{id}), "$_->[0]: modified_at")
        for [sessions => $s], [payments => $p];
    is(events(), 'file_sharing_session.created file_sharing_session.download_completed file_sharing_session.payment_received '
        . 'file_sharing_session.updated payment.updated', 'each change announced once');
};

subtest 'what REST refuses is refused' => sub {
    for ([short_slug => 'AB', 'short_slug_form'], [short_slug => 'Abcd', 'short_slug_form'], [long_slug => 'x' x 64, 'long_slug_form'],
        [short_slug => 'api', 'short_slug_form'], [long_slug => 'challenge', 'long_slug_form'], [status => 'gone', 'status_known'], [max_downloads => -1, 'max_downloads_range'],
        [download_count => -1, 'download_count_range'], [price_cents => -1, 'price_cents_range'], [currency => 'EURO', 'currency_form'],
        [currency => 'e1r', 'currency_form'], [title => 'x' x 257, 'title_length'], [file_name => 'x' x 257, 'file_name_length'],
        [file_size_bytes => -1, 'file_size_bytes_range'], [ttl_seconds => -1, 'ttl_seconds_range'],
        [ttl_seconds => 315360001, 'ttl_seconds_range'], [customer_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', 'customer']) {
        my ($column, $value, $constraint) = @$_;
        refused(sub { share($column => $value) }, "file_share_sessions_$constraint", "$column: " . substr $value, 0, 20);
    }
    refused(sub { share(max_downloads => 1, download_count => 2) }, 'file_share_sessions_download_count_range');
    share(short_slug => 'mine');
    refused(sub { share(short_slug => 'mine') }, 'file_share_sessions_short_slug', 'a slug twice');
    is(insert($t->db, 'sessions', workspace_id => $other->{id}, customer_id => $foreign->{id}, short_slug => 'mine')->{short_slug}, 'mine',
        'but not in another workspace');
    my $s = share();
    for ([amount_cents => -1, 'amount_cents_range'], [status => 'paid', 'status_known'], [currency => 'x', 'currency_form'],
        [platform_fee_cents => -1, 'platform_fee_cents_range'], [buyer_email => 'nobody', 'buyer_email_form'],
        [buyer_name => 'x' x 257, 'buyer_name_length'], [stripe_payment_intent_id => '', 'stripe_payment_intent_id_length'],
        [stripe_checkout_session_id => 'x' x 257, 'stripe_checkout_session_id_length']) {
        my ($column, $value, $constraint) = @$_;
        refused(sub { insert($site, 'payments', session_id => $s->{id}, amount_cents => 1, $column => $value) },
            "file_share_payments_$constraint", "$column: " . substr $value, 0, 20);
    }
    refused(sub { insert($site, 'payments', session_id => $s->{id}) }, 'amount_cents', 'a payment of nothing told');
    refused(sub { insert($site, 'downloads', session_id => $s->{id}, slot_number => -1) }, 'file_share_downloads_slot_number_range');
};

subtest 'the limit' => sub {
    my $s = share(max_downloads => 2);
    insert($site, 'downloads', session_id => $s->{id}, created_at => '2026-01-02T03:04:05Z') for 1 .. 2;
    refused(sub { insert($site, 'downloads', session_id => $s->{id}) }, 'Download limit reached.');
    my $after = $t->row('SELECT *, activated_at::date AS day FROM portal.file_share_sessions WHERE id = ?', $s->{id});
    is_deeply([@$after{qw(status download_count day)}], ['completed', 2, '2026-01-02'], 'history keeps its dates');
    my $busy = share(max_downloads => 7);
    my @waits = map { $t->apart(sub { my $db = connect_as('acme_site'); my $made = 0;
        for (1 .. 5) { $made++ if eval { insert($db, 'downloads', session_id => $busy->{id}); 1 } } $made }) } 1 .. 6;
    my $made = 0;
    $made += $_->() for @waits;
    is($made, 7, 'thirty at once: seven');
    is($t->value('SELECT download_count FROM portal.file_share_sessions WHERE id = ?', $busy->{id}), 7, 'and so it is counted');
    refused(sub { $site->do('UPDATE portal.file_share_sessions SET max_downloads = 6 WHERE id = ?', undef, $busy->{id}) },
        'file_share_sessions_download_count_range', 'a maximum below what was');
    $site->begin_work;
    insert($site, 'downloads', session_id => share(max_downloads => 1)->{id});
    $site->rollback;
    is($t->value("SELECT count(*) FROM portal.events WHERE type LIKE '%download_completed' AND data->>'max_downloads' = '1'"), 0,
        'what was rolled back is not told');
};

subtest 'nothing of another workspace' => sub {
    my $theirs = insert($t->db, 'sessions', workspace_id => $other->{id}, customer_id => $foreign->{id}, max_downloads => 1);
    my $download = insert($t->db, 'downloads', session_id => $theirs->{id});    # the last there may be
    my $payment = insert($t->db, 'payments', session_id => $theirs->{id}, amount_cents => 1);
    is($site->selectrow_array("SELECT count(*) FROM portal.file_share_$_ WHERE workspace_id <> '$ws->{id}'"), 0, "$_: none seen")
        for qw(sessions downloads payments);
    my %words;
    for my $id ($theirs->{id}, '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001') {
        for my $more ([], [workspace_id => $other->{id}]) {
            eval { insert($site, 'downloads', session_id => $id, @$more) };
            $words{"download, " . @$more}{ $@ =~ s/\bat \S+ line.*|[0-9a-f]{8}-[0-9a-f-]+|\d{4}-\d\d.*//grs } = 1;
            eval { insert($site, 'payments', session_id => $id, amount_cents => 1, @$more) };
            $words{"payment, " . @$more}{ $@ =~ s/\bat \S+ line.*|[0-9a-f]{8}-[0-9a-f-]+|\d{4}-\d\d.*//grs } = 1;
        }
    }
    is(scalar keys %{ $words{$_} }, 1, "$_: as one that is not") or diag explain $words{$_} for sort keys %words;
    refused(sub { insert($site, 'downloads', session_id => $theirs->{id}, workspace_id => $ws->{id}) }, 'file_share_downloads_session');
    refused(sub { insert($site, 'payments', session_id => $theirs->{id}, workspace_id => $ws->{id}, amount_cents => 1) }, 'file_share_payments_session');
    refused(sub { share(customer_id => $foreign->{id}) }, 'file_share_sessions_customer', 'its customer');
    my $mine = share();
    refused(sub { insert($site, $_->[0], session_id => $mine->{id}, customer_id => $foreign->{id}, @{ $_->[1] }) }, "file_share_$_->[0]_customer")
        for [downloads => []], [payments => [amount_cents => 1]];
    is($site->do("UPDATE portal.file_share_sessions SET title = 'x' WHERE id = ?", undef, $theirs->{id}) + 0, 0, 'not changed');
    is($site->do("DELETE FROM portal.file_share_downloads WHERE id = ?", undef, $download->{id}) + 0, 0, 'not deleted');
    is($t->value('SELECT download_count FROM portal.file_share_sessions WHERE id = ?', $theirs->{id}), 1, 'not counted');
};

subtest 'columns that are not a site\'s' => sub {
    my $s = share();
    refused(sub { $site->do($_) }, 'permission denied', $_) for
        'UPDATE portal.file_share_sessions SET download_count = 0', 'UPDATE portal.file_share_sessions SET workspace_id = workspace_id',
        'UPDATE portal.file_share_sessions SET customer_id = customer_id', 'UPDATE portal.file_share_downloads SET session_id = session_id',
        'UPDATE portal.file_share_payments SET session_id = session_id', 'SELECT * FROM portal.file_share_buyers',
        'DELETE FROM portal.file_share_buyers', "SELECT portal.announce('$ws->{id}', 'x', NULL, '{}')",
        "SELECT portal.settle_file_share_buyer('$ws->{id}', '$s->{id}', '$buyer->{id}')";
    my $d = insert($site, 'downloads', session_id => $s->{id});
    is($site->do('DELETE FROM portal.file_share_downloads WHERE id = ?', undef, $d->{id}) + 0, 1, 'its own rows it may delete');
    is($site->do('DELETE FROM portal.file_share_sessions WHERE id = ?', undef, $s->{id}) + 0, 1, 'all of them');
};

subtest 'the product\'s own roles' => sub {
    my $web = connect_as('portal_web');
    my $s = insert($web, 'sessions', workspace_id => $ws->{id}, customer_id => $owner->{id}, max_downloads => 1);
    insert($web, 'downloads', workspace_id => $ws->{id}, session_id => $s->{id});
    refused(sub { insert($web, 'downloads', workspace_id => $ws->{id}, session_id => $s->{id}) }, 'Download limit reached.');
    refused(sub { $web->do('DELETE FROM portal.file_share_sessions') }, 'permission denied', 'workers delete nothing');
    my $helper = connect_as('portal_helper');
    $helper->do("UPDATE portal.file_share_sessions SET status = 'expired' WHERE id = ?", undef, $s->{id});
    is($t->value("SELECT count(*) FROM portal.events WHERE type = 'file_sharing_session.expired' AND data->>'id' = ?", $s->{id}), 1, 'expiry is told');
    $_->disconnect for $web, $helper;
};

$site->disconnect;
$t->done;
