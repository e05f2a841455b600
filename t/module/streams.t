# Event streams end to end: what opens them, what they carry, what ends them, over HTTP/1.1 and HTTP/2.
use strict; use warnings; use utf8;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;
use PortalStream;

my $t = PortalTest->new(workers => 2, http => <<'CONF');
log_format sent '"$sent_http_x_request_id $sent_http_x_ratelimit_limit $sent_http_x_ratelimit_reset"';
access_log %%DIR%%/sent.log sent;
portal_stream_heartbeat 1s;
portal_stream_limit session=3;
CONF
my $ws = $t->workspace;
my $customer = $t->customer($ws);
my $other = $t->customer($ws);
my $token = $t->session($customer);
my $path = '/api/customer-portal/customers/stream';
my $db = $t->db;

# a change that the customer sees; its event's number comes back once it has one
sub change {
    my ($who) = @_;
    my $id = ($who // $customer)->{id};
    $db->do("UPDATE portal.customers SET name = 'Name ' || gen_random_uuid() WHERE id = ?", undef, $id);
    return;
}
sub numbers { map { $_->{number} } @{ $db->selectall_arrayref(q{SELECT number FROM portal.events WHERE workspace_id = ?
    AND audience -> 'customer' = to_jsonb(?::text) AND number IS NOT NULL ORDER BY number}, { Slice => {} }, $ws->{id}, ($_[0] // $customer)->{id}) } }
sub settled { $t->wait_for(sub { !$t->value('SELECT count(*) FROM portal.events WHERE number IS NULL') }) }
sub open_stream { PortalStream->new($t, $path, token => $token, @_) }

subtest 'headers, retry and a comment at once, then heartbeats' => sub {
    my $stream = open_stream();
    is($stream->status, 200, 'status');
    is($stream->header('content-type'), 'text/event-stream; charset=utf-8', 'type');
    is($stream->header('cache-control'), 'no-store', 'not to be stored');
    is($stream->header('x-accel-buffering'), 'no', 'not to be buffered');
    ok($stream->header('x-ratelimit-limit'), 'it counts');
    $stream->wait_for_text(qr/\Aretry: \d+\n: /);
    $stream->wait_for_text(qr/^:\n\n/m, 3);
    pass('a heartbeat');
};

subtest 'an event, as the GET shows it' => sub {
    my $stream = open_stream();
    $stream->started;
    change();
    my $event = $stream->next_event;
    is($event->{event}, 'customer.updated', 'type');
    my $data = decode_json($event->{data});
    is_deeply([sort keys %$data], [qw(data id timestamp type)], 'members');
    is($data->{id}, $event->{id}, 'the number');
    is($data->{type}, 'customer.updated', 'the type again');
    like($data->{timestamp}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'a time');
    my $now = PortalTest::json_of($t->get("/api/customers/$customer->{id}", token => $t->token($ws)));
    is($data->{data}{name}, $now->{name}, 'the new name');
    is($data->{data}{email}, $now->{email}, 'and the rest');
    change($other);
    change();
    my $next = $stream->next_event;
    is(decode_json($next->{data})->{data}{id}, $customer->{id}, "nobody else's");
};

subtest 'resumption by Last-Event-ID, by header and by query' => sub {
    settled();
    my $first = open_stream();
    $first->started;
    change() for 1 .. 3;
    my @ids = map { $first->next_event->{id} } 1 .. 3;
    $first->close;
    change() for 1 .. 150;
    settled();
    my @all = numbers();
    my @want = grep { $_ > $ids[1] } @all;
    for my $stream (open_stream(headers => ['Last-Event-ID' => $ids[1]]),
                    PortalStream->new($t, "$path?last_event_id=$ids[1]", token => $token)) {
        is_deeply([map { $stream->next_event->{id} } @want], \@want, 'what was missed, in order');
        change();
        settled();
        is($stream->next_event->{id}, (numbers())[-1], 'and what is new');
        $stream->close;
        @want = grep { $_ > $ids[1] } numbers();
    }
};

subtest 'an id from another history' => sub {
    settled();
    for my $id (999_999_999, 'x') {
        my $stream = open_stream(headers => ['Last-Event-ID' => $id]);
        my $event = $stream->next_event;
        is($event->{event}, 'reset', "reset for $id");
        cmp_ok($event->{id}, '>=', (numbers())[-1], 'with the newest number');
        change();
        is($stream->next_event->{event}, 'customer.updated', 'and on it goes');
        $stream->close;
    }
};

subtest 'a ticket' => sub {
    my $answer = $t->post("$path-ticket", token => $token);
    is($answer->code, 201, 'is made');
    my $ticket = PortalTest::json_of($answer)->{ticket};
    my $stream = PortalStream->new($t, "$path?ticket=$ticket");
    is($stream->status, 200, 'opens the stream');
    $stream->started;
    change();
    is($stream->next_event->{event}, 'customer.updated', 'which works');
    is($t->get("/api/customer-portal/customers/me?ticket=$ticket")->code, 401, 'and nothing else');
    my $second = PortalStream->new($t, "$path?ticket=$ticket");
    is($second->status, 200, 'again, and the first ends');
    my $bye = $stream->next_event;
    is($bye->{event}, 'bye', 'with a word');
    is(decode_json($bye->{data})->{reason}, 'replaced', 'why');
    ok($stream->ended, 'and an end');
    unlike($t->log_text('access.log'), qr/\Q$ticket/, 'no log has it');
    my $forged = ('0' x 8) . substr $ticket, 8;
    is($t->get("$path?ticket=$forged")->code, 401, 'a forged one');
    my $late = PortalTest::json_of($t->post("$path-ticket", token => $token))->{ticket};
    $db->do("UPDATE portal.stream_tickets SET created_at = created_at - interval '61 s'");
    is($t->get("$path?ticket=$late")->code, 401, 'one not used in time');
    my $third = PortalStream->new($t, "$path?ticket=$ticket");
    is($third->status, 200, 'one that was used lives on');
    $_->close for $second, $third;
};

subtest 'how many' => sub {
    sleep 0.3;
    my @streams = map { my $s = open_stream(); $s->status; $s } 1 .. 3;
    is_deeply([map { $_->status } @streams], [(200) x 3], 'three');
    my $answer = $t->get($path, token => $token);
    is($answer->code, 429, 'a fourth');
    ok($answer->header('Retry-After'), 'later');
    $streams[0]->close;
    ok($t->wait_for(sub { my $s = open_stream(); my $ok = $s->status == 200; $s->close; $ok }), 'when one has gone');
    $_->close for @streams;
};

subtest 'who may' => sub {
    is($t->get($path)->code, 401, 'nobody else');
    is($t->get($path, token => $t->token($ws))->code, 401, 'no backend');
    is($t->request('HEAD', $path, token => $token)->code, 200, 'HEAD is answered without a stream');
    my $ended = $t->session($customer);
    my ($cookie) = ("portal_$ws->{slug}=$ended");
    is($t->get($path, headers => { Cookie => "portal_$ws->{slug}=portal_cst_" . "x" x 48 })->code, 204,
        'a session that is over, by cookie') or diag $cookie;
};

subtest 'revoked, expired' => sub {
    my $mine = $t->session($customer);
    my $stream = PortalStream->new($t, $path, token => $mine);
    $stream->started;
    my $began = time;
    $db->do('UPDATE portal.customer_sessions SET revoked_at = now() WHERE id = (SELECT id FROM portal.customer_sessions ORDER BY created_at DESC LIMIT 1)');
    my $bye = $stream->next_event(3);
    is($bye->{event}, 'bye', 'revoked') or return;
    cmp_ok(time - $began, '<', 1.2, 'within a second');
    is(decode_json($bye->{data})->{reason}, 'revoked', 'why');
    ok($stream->ended, 'and closed');
    is($t->get($path, token => $mine)->code, 401, 'for good');

    my $short = $t->session($customer);
    $db->do("UPDATE portal.customer_sessions SET expires_at = now() + interval '2 s' WHERE id = (SELECT id FROM portal.customer_sessions ORDER BY created_at DESC LIMIT 1)");
    my $expiring = PortalStream->new($t, $path, token => $short);
    is($expiring->status, 200, 'a short one');
    is(decode_json($expiring->next_event(5)->{data})->{reason}, 'expired', 'ends by itself');
};

subtest 'revoked with the helper gone' => sub {
    my $mine = $t->session($customer);
    my $stream = PortalStream->new($t, $path, token => $mine);
    $stream->started;
    $t->stop('helper');
    sleep 1;
    $db->do('UPDATE portal.customer_sessions SET revoked_at = now() WHERE id = (SELECT id FROM portal.customer_sessions ORDER BY created_at DESC LIMIT 1)');
    my $began = time;
    is($stream->next_event(4)->{event}, 'bye', 'bye');
    cmp_ok(time - $began, '<', 1.5, 'within a second or so');
    $t->start('helper');
};

subtest 'the helper comes back: nothing is lost' => sub {
    my $stream = open_stream();
    $stream->started;
    change();
    my $before = $stream->next_event->{id};
    $t->stop('helper', 'KILL');
    change() for 1 .. 20;
    $t->start('helper');
    settled();
    my @want = grep { $_ > $before } numbers();
    is(scalar @want, 20, 'twenty');
    is_deeply([map { ($stream->next_event(5) // {})->{id} } @want], \@want, 'each once, in order');
    $stream->close;
};

subtest 'a portal token' => sub {
    my $contact = $t->contact($ws, email => 'someone@example.com');
    my $portal = PortalTest::json_of($t->post('/api/v1/client-portal/token', token => $t->token($ws), json => { type => 'contact', id => $contact->{id} }));
    my $stream = PortalStream->new($t, '/api/v1/client-portal/me/stream', token => $portal->{token});
    is($stream->status, 200, 'opens its stream');
    $stream->started;
    $t->patch('/api/v1/client-portal/config', token => $t->token($ws), json => { portal_name => 'Another' });
    my $event = $stream->next_event;
    is($event->{event}, 'client_portal.config_updated', 'the portal changes for everyone');
    is(decode_json($event->{data})->{data}{portal_name}, 'Another', 'into this');

    # its notification may come after the event: here it never does
    my $seen = sub { PortalTest::json_of($t->get('/api/v1/client-portal/me', token => $portal->{token}))->{data}{config}{portal_name} };
    is($seen->(), 'Another', 'and is kept in memory');
    $db->do('ALTER TABLE portal.client_portal_configs DISABLE TRIGGER changed');
    $db->do(q{UPDATE portal.client_portal_configs SET portal_name = 'A third' WHERE workspace_id = ?}, undef, $ws->{id});
    $stream->next_event;
    is($seen->(), 'A third', 'whoever has heard of a change sees it');
    $db->do('ALTER TABLE portal.client_portal_configs ENABLE TRIGGER changed');
    $stream->close;
};

subtest 'payments, by role' => sub {
    my $club = $t->workspace(member_model => 1);
    my $team = $t->customer($club, type => 'team');
    my %member = map { $_ => $t->member($team, role => $_) } qw(owner billing_manager member);
    my %session = map { $_ => $t->session($member{$_}) } keys %member;
    my $shared = $t->insert('file_share_sessions', { workspace_id => $club->{id}, customer_id => $team->{id} });
    my $payment = $t->insert('file_share_payments', { workspace_id => $club->{id}, session_id => $shared->{id}, customer_id => $team->{id}, amount_cents => 1 });
    settled();
    my $begin = $t->value('SELECT numbered FROM portal.event_counters WHERE workspace_id = ?', $club->{id});
    my $open = sub { my ($role, $after) = @_; my $s = PortalStream->new($t, $path, token => $session{$role}, headers => ['Last-Event-ID' => $after // $begin]); $s->started; $s };
    my %stream = map { $_ => $open->($_) } keys %member;
    $db->do("UPDATE portal.file_share_payments SET status = 'completed' WHERE id = ?", undef, $payment->{id});
    $db->do("UPDATE portal.customers SET name = 'Renamed' WHERE id = ?", undef, $team->{id});
    settled();
    my %want = ((map { $_ => ['payment.updated', 'customer.updated'] } qw(owner billing_manager)), member => ['customer.updated']);
    for my $role (sort keys %member) {
        my $replay = $open->($role);
        for (['live' => $stream{$role}], ['replayed' => $replay]) {
            my ($how, $stream) = @$_;
            is_deeply([map { ($stream->next_event // {})->{event} } @{ $want{$role} }], $want{$role}, "$role, $how");
            is($stream->next_event(0.3), undef, 'nothing else');
        }
        $replay->close;
    }

    $db->do("UPDATE portal.members SET role = 'member' WHERE id = ?", undef, $member{billing_manager}{id});
    like($stream{billing_manager}->rest // '', qr/^retry: \d+\n\n\z/m, 'a lesser role: the stream ends');
    $db->do("UPDATE portal.file_share_payments SET status = 'refunded' WHERE id = ?", undef, $payment->{id});
    settled();
    is($open->('billing_manager')->next_event->{event}, 'customer.updated', 'the next one has what that role sees');
    is($stream{owner}->next_event->{event}, 'payment.updated', "the others' go on");
    $db->do("UPDATE portal.members SET role = 'billing_manager' WHERE id = ?", undef, $member{member}{id});
    like($stream{member}->rest // '', qr/^retry: \d+\n\n\z/m, 'a greater role, too');
    is($open->('member')->next_event->{event}, 'payment.updated', 'likewise');
    $stream{owner}->close;
};

subtest 'HTTP/2' => sub {
    my $stream = PortalStream->new($t, $path, token => $token, h2 => 1);
    is($stream->status, 200, 'status');
    $stream->started;
    change() for 1 .. 5;
    settled();
    my @want = (numbers())[-5 .. -1];
    is_deeply([map { $stream->next_event->{id} } @want], \@want, 'events');
    $stream->close;
};

subtest 'headers that were sent, in the access log' => sub {
    my @headers = qw(x-request-id x-ratelimit-limit x-ratelimit-reset);
    my $logged = sub { my $line = qq("@_"); ok($t->wait_for(sub { index(PortalTest::slurp($t->dir . '/sent.log'), $line) >= 0 }), $line) };
    my $answer = $t->get('/api/customer-portal/customers/me', token => $token);
    $logged->(map { $answer->header($_) } @headers);
    for my $stream (map { open_stream(h2 => $_) } 0, 1) {
        my @sent = map { $stream->header($_) } @headers;
        $stream->started;
        $stream->close;
        $logged->(@sent);
    }
};

subtest 'reload' => sub {
    my @streams = map { my $s = open_stream(h2 => $_); $s->started; $s } 0, 1;
    $t->reload;
    for my $stream (@streams) {
        my $text = $stream->rest(5);
        like($text, qr/^retry: \d+\n\n\z/m, 'says when to come back');
        ok($stream->ended, 'and ends cleanly');
    }
};

subtest 'opened by a worker that is going' => sub {
    $db->begin_work;
    $db->do('LOCK TABLE portal.event_counters IN ACCESS EXCLUSIVE MODE');
    my @streams = map { open_stream(h2 => $_) } 0, 1;
    ok($t->wait_for(sub { $t->value("SELECT count(*) FROM pg_locks
        WHERE relation = 'portal.event_counters'::regclass AND mode = 'AccessShareLock' AND NOT granted") >= 2 }), 'two wait');
    my %old = map { $_ => 1 } $t->workers;
    $t->signal('nginx', 'HUP');
    $t->wait_for(sub { grep { !$old{$_} } $t->workers });
    sleep 0.1;
    $db->commit;
    for my $stream (@streams) {
        is($stream->status, 200, 'is opened');
        like($stream->rest(5), qr/\n\nretry: \d+\n\n\z/, 'says when to come back');
        ok($stream->ended, 'and ends cleanly');
    }
};

subtest 'one that only talks' => sub {
    my $stream = open_stream();
    $stream->started;
    $stream->write('x' x 6000);
    ok(defined $stream->rest(5), 'is closed');
};

subtest 'one that does not stop talking' => sub {
    my $stream = open_stream();
    $stream->started;
    local $SIG{PIPE} = 'IGNORE';
    my ($sent, $end) = (0, time + 3);
    $stream->{socket}->blocking(1);
    while (time < $end) { $sent += syswrite($stream->{socket}, 'x' x 1_000_000) // last }
    cmp_ok(time, '<', $end, sprintf 'no worker listens for long (%.1f MB)', $sent / 1e6);
    $stream->close;
};

subtest 'memory of 20,000 events' => sub {
    my $stream = open_stream();
    $stream->started;
    my $last;
    my $round = sub {
        $db->do(q{INSERT INTO portal.events (workspace_id, type, audience, data)
            SELECT ?, 'test.event', jsonb_build_object('customer', ?::text), jsonb_build_object('n', n, 'text', repeat('x', 200))
              FROM generate_series(1, 5000) n}, undef, $ws->{id}, $customer->{id});
        for (1 .. 5000) { my $event = $stream->next_event(10) or last; $last = $event->{id} }
    };
    my $memory = sub { my $kb = 0; for ($t->workers) { $kb += (PortalTest::slurp("/proc/$_/status") =~ /VmRSS:\s+(\d+)/)[0] } $kb };
    $round->();
    my $before = $memory->();
    $round->() for 1 .. 3;
    my $most = PortalTest::asan() ? 64 : 2;    # a sanitizer holds back what is freed
    cmp_ok($memory->() - $before, '<', $most * 1024, "grows by less than $most MB");
    is($last, $t->value('SELECT max(number) FROM portal.events WHERE workspace_id = ?', $ws->{id}), 'the last one arrived');
};

$t->done;
