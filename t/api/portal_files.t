# GET /api/customer-portal/file-sharing/…: a customer's own files, and those it bought or downloaded.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my ($owner, $buyer, $guest, $stranger) = map { $t->customer($ws) } 1 .. 4;
my $foreign = $t->customer($other);
my ($as_owner, $as_buyer, $as_guest, $as_stranger, $as_foreign) = map { $t->session($_) } $owner, $buyer, $guest, $stranger, $foreign;
my $path = '/api/customer-portal/file-sharing/sessions';
my $unknown = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
my $not_found = { error => 'ResourceNotFound', detail => 'Not found' };
my @members = qw(id created_at modified_at short_slug long_slug status max_downloads download_count price_cents currency
    title file_name file_size_bytes ttl_seconds expires_at activated_at completed_at user_id workspace_id share_id);
my $day = 0;

sub share { my ($who, %c) = @_; $t->insert('file_share_sessions', { workspace_id => $who->{workspace_id}, customer_id => $who->{id},
    created_at => sprintf('2026-%02d-%02dT00:00:00Z', 1 + $day / 28, 1 + $day++ % 28), %c }) }
sub download { my ($s, $who, %c) = @_; $t->insert('file_share_downloads', { workspace_id => $s->{workspace_id}, session_id => $s->{id},
    customer_id => $who && $who->{id}, %c }) }
sub pay { my ($s, $who, %c) = @_; $t->insert('file_share_payments', { workspace_id => $s->{workspace_id}, session_id => $s->{id},
    customer_id => $who && $who->{id}, amount_cents => 100, %c }) }
sub titles { my ($who, $query) = @_; my $r = $t->get("$path?" . ($query // ''), token => $who); is_status($r, 200);
    join '', map { substr $_->{title}, 0, 1 } @{ json_of($r)->{data} } }
sub problems { my ($response) = @_; is_status($response, 422);
    [map { "$_->{type} at $_->{loc}[-1]: $_->{msg}" } @{ json_of($response)->{detail} }] }

my $a = share($owner, title => 'a sold', file_name => 'x.zip', max_downloads => 9, price_cents => 100);
my $b = share($owner, title => 'b', file_name => 'Sold.pdf', status => 'expired');
my $c = share($stranger, title => 'c', max_downloads => 1);
my $d = share($buyer, title => 'd sold');
my $e = share($foreign, title => 'e');
pay($a, $buyer);
pay($a, $buyer);
download($a, $buyer) for 1 .. 2;
download($a, $_) for $guest, $owner, undef;
pay($d, $buyer);    # its own: no second row
download($e, undef);

subtest 'one session' => sub {
    my $response = $t->get("$path/$a->{id}", token => $as_owner);
    is_status($response, 200);
    is_deeply([keys_of($response)], \@members, 'twenty members in order');
    my $body = json_of($response);
    is_deeply([@$body{qw(id title max_downloads download_count price_cents status workspace_id created_at)}],
        [$a->{id}, 'a sold', 9, 5, 100, 'active', $ws->{id}, '2026-01-01T00:00:00Z']);
    is_answer($t->get("$path/$a->{id}", token => $as_buyer), 200, $response->content, 'the same to a buyer');
    is_answer($t->get("$path/" . uc($a->{id} =~ s/-//gr) . '/', token => $as_guest), 200, $response->content, 'and to who downloaded it');
    unlike($response->content, qr/\Q$owner->{id}/, 'without its owner\'s id');
    is_answer($t->get("$path/$a->{id}", token => $_), 404, $not_found, 'unknown to others') for $as_stranger, $as_foreign;
    is_answer($t->get("$path/$unknown", token => $as_owner), 404, $not_found, 'as one that is not');
    is_answer($t->get("$path/$e->{id}", token => $as_owner), 404, $not_found, 'another workspace\'s');
    is_deeply(problems($t->get("$path/1", token => $as_owner)),
        ['uuid_parsing at id: Input should be a valid UUID, invalid length: expected length 32 for simple format, found 1']);
};

subtest 'list' => sub {
    my $response = $t->get($path, token => $as_owner);
    is_status($response, 200);
    is_deeply([keys_of($response)], [qw(data meta)], 'a page');
    is_deeply(json_of($response)->{meta}, { total => 2, page => 1, per_page => 10, pages => 1 }, 'its own alone');
    is_deeply(json_of($response)->{data}[1], json_of($t->get("$path/$a->{id}", token => $as_owner)), 'as each is told');
    is(titles($as_owner), 'ba', 'newest first');
    is(titles($as_buyer), 'da', 'its own and what it bought, each once');
    is(titles($as_guest), 'a', 'what it downloaded');
    is(titles($as_stranger), 'c');
    is(titles($as_foreign), 'e', 'another workspace');
    is(titles($as_buyer, $_->[0]), $_->[1], $_->[0]) for ['sorting=created_at', 'ad'], ['sorting=-download_count', 'ad'],
        ['sorting=download_count', 'da'], ['sorting=status', 'ad'], ['sorting=-status', 'da'], ['status=active', 'a'], ['status=created', 'd'],
        ['status=reported', ''], ['query=SOLD', 'da'], ['query=x.z', 'a'], ['query=sold&status=active', 'a'],
        ['query=_', ''], ['limit=1', 'd'], ['limit=1&page=2', 'a'], ['limit=1&page=3', ''], ['sorting=created_at&limit=1&page=2', 'd'],
        ['sorting=status&sorting=-created_at&limit=1', 'a'];
    is(titles($as_owner, 'query=sold'), 'ba', 'title or file name');
    is_deeply(json_of($t->get("$path?limit=1&page=3", token => $as_buyer)), { data => [], meta => { total => 2, page => 3, per_page => 1, pages => 2 } },
        'past the end the total stays true');
    is_deeply(json_of($t->get("$path?query=none", token => $as_buyer)), { data => [], meta => { total => 0, page => 1, per_page => 10, pages => 0 } });
    is_deeply(json_of($t->get("$path?page=9223372036854775807", token => $as_buyer))->{data}, [], 'the last page there may be');
    is_deeply(problems($t->get("$path?page=0&limit=0&sorting=title&sorting=-status&status=gone&query=" . 'x' x 257, token => $as_owner)), [
        'greater_than at page: Input should be greater than 0', 'greater_than at limit: Input should be greater than 0',
        "enum at 0: Input should be 'created_at', 'status', 'download_count', '-created_at', '-status' or '-download_count'",
        q(enum at status: Input should be 'created', 'active', 'completed', 'expired', 'destroyed' or 'reported'),
        'string_too_long at query: String should have at most 256 characters']);
};

subtest 'a stable order' => sub {
    my $many = $t->customer($ws);
    share($many, title => $_, created_at => '2026-02-01T00:00:00Z') for 1 .. 25;
    my $who = $t->session($many);
    for my $sorting ('', 'sorting=created_at', 'sorting=status', 'sorting=-download_count') {
        my %seen;
        $seen{ $_->{id} }++ for map { @{ json_of($t->get("$path?limit=7&page=$_&$sorting", token => $who))->{data} } } 1 .. 4;
        is_deeply([scalar keys %seen, grep { $_ > 1 } values %seen], [25], "every one once, $sorting");
    }
};

subtest 'downloads' => sub {
    my $response = $t->get("$path/$a->{id}/downloads", token => $as_owner);
    is_status($response, 200);
    my $all = json_of($response);
    is_deeply([map { $_->{slot_number} } @$all], [5, 4, 3, 2, 1], 'the owner: all, newest first');
    is_deeply([sort keys %{ $all->[0] }], [sort qw(id created_at modified_at session_id slot_number)], 'members');
    unlike($response->content, qr/\Q$buyer->{id}\E|\Q$guest->{id}/, 'nobody\'s id');
    is_deeply([map { $_->{slot_number} } @{ json_of($t->get("$path/$a->{id}/downloads", token => $as_buyer)) }], [2, 1], 'a buyer: its own');
    is_deeply([map { $_->{slot_number} } @{ json_of($t->get("$path/$a->{id}/downloads", token => $as_guest)) }], [3]);
    is_answer($t->get("$path/$b->{id}/downloads", token => $as_owner), 200, '[]', 'none');
    is_answer($t->get("$path/$a->{id}/downloads", token => $as_stranger), 404, $not_found, 'a stranger');
    is_answer($t->get("$path/$e->{id}/downloads", token => $as_owner), 404, $not_found, 'another workspace\'s');
};

subtest 'who bought, and no longer' => sub {
    my $s = share($owner, title => 's');
    my $late = $t->customer($ws);
    my $who = $t->session($late);
    my $payment = pay($s, undef);
    is(titles($who), '', 'nobody\'s payment');
    $t->db->do('UPDATE portal.file_share_payments SET customer_id = ? WHERE id = ?', undef, $late->{id}, $payment->{id});
    is(titles($who), 's', 'its payment');
    my $download = download($s, $late);
    $t->db->do('DELETE FROM portal.file_share_payments WHERE id = ?', undef, $payment->{id});
    is(titles($who), 's', 'its download still');
    $t->db->do('UPDATE portal.file_share_sessions SET customer_id = ? WHERE id = ?', undef, $late->{id}, $s->{id});
    is(titles($who), 's', 'now its own, once');
    $t->db->do('UPDATE portal.file_share_sessions SET customer_id = ? WHERE id = ?', undef, $owner->{id}, $s->{id});
    is(titles($who), 's', 'and bought again');
    $t->db->do('DELETE FROM portal.file_share_downloads WHERE id = ?', undef, $download->{id});
    is(titles($who), '', 'nothing is left');
};

subtest 'members see their customer\'s' => sub {
    my $club = $t->workspace(member_model => 1);
    my ($team, $rest) = map { $t->customer($club, type => 'team') } 1 .. 2;
    my $member = $t->member($team, role => 'owner');
    my $plain = $t->session($t->member($team, role => 'member'));
    my $theirs = $t->session($t->member($rest, role => 'owner'));
    my $s = share($team, title => 't');
    is(titles($_), 't') for $plain, $t->session($member);
    is(titles($theirs), '', 'another customer\'s member');
    is_answer($t->get("$path/$s->{id}", token => $theirs), 404, $not_found);
};

subtest 'wrong callers' => sub {
    my ($expired, $revoked) = map { $t->session($_) } $stranger, $guest;
    my $hash = sub { my ($who, $set) = @_; $t->db->do("UPDATE portal.customer_sessions SET $set WHERE customer_id = ?", undef, $who->{id}) };
    $hash->($stranger, "expires_at = now() - interval '1 s'");
    $hash->($guest, 'revoked_at = now()');
    for my $who ($expired, $revoked) { $t->wait_for(sub { $t->get($path, token => $who)->code == 401 }, 5) }
    my $token = $t->token($ws);
    for my $route ('file-sharing/sessions', "file-sharing/sessions/$a->{id}", "file-sharing/sessions/$a->{id}/downloads",
        "file-sharing/sessions/$a->{id}/payments", 'payments') {
        my $ask = sub { $t->get("/api/customer-portal/$route", token => $_[0]) };
        is_answer($ask->($_), 401, '{"error":"Unauthorized","detail":"Unauthorized"}', $route) for undef, $token;
        is_answer($ask->($_), 401, { error => 'invalid_token', error_description =>
            'The access token provided is expired, revoked, malformed, or invalid for other reasons.' }, 'ended') for $expired, $revoked, 'portal_cst_x';
        is_status($t->post("/api/customer-portal/$route", token => $as_owner, json => {}), 405);
        is_status($t->request(HEAD => "/api/customer-portal/$route", token => $as_owner), 200, 'HEAD');
    }
};

$t->done;
