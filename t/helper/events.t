# Live updates on the helper's side: what is committed is numbered, published and sent to who listens, once and in order,
# whatever dies meanwhile; what may have been missed is told as a gap; claims are counted over all lines.
# Runs alone: it measures how soon.
use strict; use warnings; use utf8;
use Test::More;
use Socket;
use IO::Select;
use JSON::XS ();
use Time::HiRes qw(time sleep);
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my $dir = $t->dir;
my $redis = $t->redis;
$t->tolerate(qr/redis: no connection/);
use constant { WELCOME => 3, BEAT => 4, LISTEN => 8, UNLISTEN => 9, LISTENING => 10, CLAIM => 11, CLAIMED => 12, RELEASE => 13, EVICT => 14,
    EVENT => 15, GAP => 16 };

# ---- a dialler

sub dial {
    my ($path) = @_;
    socket(my $line, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
    connect($line, pack_sockaddr_un($path // "$dir/helper.sock")) or die "connect: $!";
    send($line, "\x03\x01", 0);
    return $line;
}
sub bytes_of { pack 'H32', $_[0] =~ s/-//gr }
sub uuid { join '-', unpack 'H8H4H4H4H12', $_[0] }
sub ask { my ($line, $type, $payload) = @_; send($line, "\x03" . chr($type) . $payload, 0) }
# The next frame within some seconds, beats and bumps passed over.
sub frame {
    my ($line, $seconds) = @_;
    my $end = time + ($seconds // 5);
    while ((my $left = $end - time) > 0) {
        IO::Select->new($line)->can_read($left) or return;
        my $bytes;
        defined recv($line, $bytes, 65536, 0) && length $bytes or return { type => 'closed' };
        my ($type, $payload) = unpack 'xCa*', $bytes;
        next if $type == BEAT || $type == 5 || $type == 6;
        my %frame = (type => $type, payload => $payload, at => time);
        if ($type == EVENT) {
            my ($workspace, $number, $count, $rest) = unpack 'a16Q<Ca*', $payload;
            my @parts = unpack "(C/a)${count}a*", $rest;
            $frame{text} = pop @parts;
            $frame{audiences} = \@parts;
            @frame{qw(workspace number)} = (uuid($workspace), $number);
        }
        $frame{workspace} = uuid($payload) if $type == GAP;
        @frame{qw(ticket granted)} = unpack 'Q<C', $payload if $type == LISTENING || $type == CLAIMED;
        return \%frame;
    }
    return;
}
sub frames { my ($line, $seconds) = @_; my ($end, @all) = time + $seconds; while (my $f = frame($line, $end - time)) { push @all, $f; last if $f->{type} eq 'closed' } @all }
sub until_type { my ($line, $type, $seconds) = @_; my $end = time + ($seconds // 5); while (my $f = frame($line, $end - time)) { return $f if $f->{type} eq $type } return }
sub listens {
    my ($line, $workspace, @audiences) = @_;
    for (@audiences) {
        ask($line, LISTEN, pack('Q<a16', 1, bytes_of($workspace->{id})) . $_);
        until_type($line, LISTENING) or die 'not listening';
    }
    return $line;
}
# Events until as many, or the time is over: numbers; gaps are counted.
my $gaps;
sub events {
    my ($line, $count, $seconds) = @_;
    my ($end, @events) = time + ($seconds // 5);
    $gaps = 0;
    while (@events < $count) {
        my $f = frame($line, $end - time) or last;
        push @events, $f if $f->{type} eq EVENT;
        $gaps++ if $f->{type} eq GAP;
    }
    return @events;
}
sub told { my ($workspace, $type, $audience, $data, $dbh) = @_;
    ($dbh // $t->db)->do('INSERT INTO portal.events (workspace_id, type, audience, data) VALUES (?, ?, ?, ?)', undef, $workspace->{id}, $type,
        $audience && JSON::XS::encode_json($audience), JSON::XS::encode_json($data // {})) }
sub connection { my (%o) = @_; DBI->connect("dbi:Pg:host=$dir/pg;port=$t->{postgres_port};dbname=portal;user=postgres", '', '', { RaiseError => 1, AutoCommit => 1, %o }) }
my $everyone = { workspace => JSON::XS::true };
# Numbers in PostgreSQL: none twice, none missing, everything numbered.
sub is_whole {
    my ($name) = @_;
    ok($t->wait_for(sub { !$t->value('SELECT count(*) FROM portal.events WHERE number IS NULL') }), "$name: everything is numbered");
    is($t->value('SELECT count(*) FROM (SELECT workspace_id FROM portal.events GROUP BY 1 HAVING min(number) <> 1 OR max(number) <> count(*)) broken'),
        0, "$name: without a hole");
    ok($t->wait_for(sub { !$t->value('SELECT count(*) FROM portal.event_counters c WHERE numbered <> published
        OR numbered <> (SELECT max(number) FROM portal.events e WHERE e.workspace_id = c.workspace_id)') }), "$name: all is published");
}
sub second_helper {
    $t->write_file('second.toml', PortalTest::slurp("$dir/portal.toml") =~ s/helper\.sock/second.sock/r);
    $t->spawn('helper2', [], PortalTest::build() . '/portal-helper', '--config', "$dir/second.toml");
    ok($t->wait_for(sub { -S "$dir/second.sock" }), 'a second helper');
}
# Kills the helper, so that it says goodbye to nobody.
sub kill_helper { $t->stop('helper', 'KILL'); unlink "$dir/helper.sock" }
# Until events come: a helper that has just begun tells a gap when it has found the stream.
sub warm { my ($line) = @_; for (1 .. 50) { told($ws, 'warm', $everyone); return events($line, 99, 0.3) if (frame($line, 0.1) // { type => 0 })->{type} eq EVENT } die 'no events' }
sub publisher { $t->value("SELECT helper FROM portal.event_publisher WHERE until > now()") }

# ---- what is told

my $customer = $t->value('SELECT gen_random_uuid()');
my $line = listens(dial(), $ws, 'workspace', "customer:$customer", 'contact:7');
events($line, 1, 0.5);   # what making the workspaces announced

subtest 'a committed event' => sub {
    told($ws, 'test.one', $everyone, { a => 1 });
    my ($event) = events($line, 1);
    is($event->{workspace}, $ws->{id});
    is_deeply($event->{audiences}, ['workspace']);
    my ($id, $type, $data) = $event->{text} =~ /\Aid: (\d+)\nevent: (\S+)\ndata: (.*)\n\n\z/ or diag explain $event;
    is($id, $event->{number}, 'its id');
    is($type, 'test.one');
    my $json = json_of($data);
    is_deeply([@$json{qw(id type data)}], [$id, 'test.one', { a => 1 }]);
    is($t->value('SELECT number FROM portal.events WHERE type = ?', 'test.one'), $id);
};

subtest 'audiences' => sub {
    my $second = listens(dial(), $ws, 'company:3', "customer:$customer");
    my $foreign = listens(dial(), $other, 'workspace', "customer:$customer");
    told($ws, 'to.customers', { customer => [$customer, $t->value('SELECT gen_random_uuid()')] });
    told($ws, 'to.both', { contact => 7, company => 3 });
    told($ws, 'to.nobody', undef);
    told($ws, 'to.a stranger', { contact => 8 });
    told($ws, 'last', { company => 3 });
    is_deeply([map { [$_->{text} =~ /^event: (.*)/m, @{ $_->{audiences} }] } events($line, 2)], [['to.customers', "customer:$customer"], ['to.both', 'contact:7']]);
    is_deeply([map { [$_->{text} =~ /^event: (.*)/m, @{ $_->{audiences} }] } events($second, 3)],
        [['to.customers', "customer:$customer"], ['to.both', 'company:3'], ['last', 'company:3']]);
    is(scalar(events($foreign, 1, 0.3)), 0, 'another workspace hears nothing');
    is_deeply($t->db->selectcol_arrayref('SELECT a.audience FROM portal.event_audiences a JOIN portal.events e USING (workspace_id, number)
        WHERE type = ? ORDER BY 1', undef, 'to.both'), ['company:3', 'contact:7'], 'stored for replays');
    ask($second, UNLISTEN, bytes_of($ws->{id}) . 'company:3');
    told($ws, 'again', { company => 3 });
    is(scalar(events($second, 1, 0.3)), 0, 'nobody listens any more');
};

subtest 'order, and what was rolled back' => sub {
    my $dbh = connection(AutoCommit => 0);
    told($ws, 'held', $everyone, {}, $dbh);
    told($ws, "quick.$_", $everyone) for 1 .. 50;
    told($ws, 'rolled.back', $everyone, {}, my $undone = connection(AutoCommit => 0));
    $undone->rollback;
    my @first = events($line, 50);
    $dbh->commit;
    my ($held) = events($line, 1);
    is_deeply([map { $_->{text} =~ /^event: (.*)/m } @first], [map { "quick.$_" } 1 .. 50], 'in order');
    like($held->{text}, qr/^event: held$/m, 'what commits later comes later');
    is_deeply([map { $_->{number} } @first, $held], [$first[0]{number} .. $first[0]{number} + 50], 'contiguous');
    is(scalar(events($line, 1, 0.3)), 0, 'what was rolled back is never told');
    $_->disconnect for $dbh, $undone;
    is_whole('then');
};

subtest 'an event that fits no frame' => sub {
    told($ws, 'large', $everyone, { text => 'x' x 70000 });
    my $gap = until_type($line, GAP);
    is($gap && $gap->{workspace}, $ws->{id}, 'is a gap of its workspace');
};

subtest 'an erasure wipes the stream' => sub {
    my $person = $t->customer($ws);
    told($ws, 'before', $everyone);
    events($line, 1);
    cmp_ok($redis->xlen('portal:{events}'), '>', 1, 'entries wait');
    $t->db->do('INSERT INTO portal.erasures (workspace_id, customer_id) VALUES (?, ?)', undef, $ws->{id}, $person->{id});
    my $gap = until_type($line, GAP);
    is($gap && $gap->{workspace}, '00000000-0000-0000-0000-000000000000', 'a gap of all is told');
    unlike(join(' ', map { @{ $_->[1] } } $redis->xrange('portal:{events}', '-', '+')), qr/before/, 'nothing of before is left');
    told($ws, 'after', $everyone);
    ok((grep { $_->{text} =~ /^event: after$/m } events($line, 3, 2)), 'and it goes on');
};

subtest 'an erasure that Redis refuses to wipe for' => sub {
    my $person = $t->customer($ws);
    told($ws, 'before', $everyone);
    events($line, 1);
    $redis->acl(qw(SETUSER default -eval));
    $t->db->do('INSERT INTO portal.erasures (workspace_id, customer_id) VALUES (?, ?)', undef, $ws->{id}, $person->{id});
    sleep 0.6;
    my $left = sub { join ' ', map { @{ $_->[1] } } $redis->xrange('portal:{events}', '-', '+') };
    like($left->(), qr/before/, 'is there still');
    $redis->acl(qw(SETUSER default +eval));
    ok($t->wait_for(sub { $left->() !~ /before/ }, 5), 'is wiped when Redis takes it');
    until_type($line, GAP);
};

# ---- what dies

subtest 'two helpers: each event once on each' => sub {
    second_helper();
    my $far = listens(dial("$dir/second.sock"), $ws, 'workspace');
    warm($far);
    events($line, 99, 0.2);
    my $holder = publisher();
    told($ws, "both.$_", $everyone) for 1 .. 100;
    my @here = map { $_->{number} } events($line, 100);
    my @there = map { $_->{number} } events($far, 100);
    is_deeply(\@here, [$here[0] .. $here[0] + 99], 'here');
    is_deeply(\@there, \@here, 'there');
    is(publisher(), $holder, 'one goes on publishing');
};

subtest 'the publishing helper is killed mid-stream' => sub {
    my $far = listens(dial("$dir/second.sock"), $ws, 'workspace');
    my $writer = $t->apart(sub {
        my $dbh = connection();
        for (1 .. 400) { told($ws, "kill.$_", $everyone, {}, $dbh); sleep 0.002 }
        1;
    });
    my @seen = events($far, 100);
    kill_helper();
    push @seen, events($far, 300, 10);
    $writer->();
    is(scalar @seen, 400, 'the other one takes over') or diag scalar @seen;
    is_deeply([map { $_->{text} =~ /^event: (.*)/m } @seen], [map { "kill.$_" } 1 .. 400], 'each once, in order');
    is_deeply([map { $_->{number} } @seen], [$seen[0]{number} .. $seen[0]{number} + 399], 'contiguous');
    is($gaps, 0, 'nothing was missed');
    is_whole('afterwards');
    $t->start('helper');
    $t->stop('helper2');
    $line = listens(dial(), $ws, 'workspace');
    warm($line);
    told($ws, 'back', $everyone);
    ok((grep { $_->{text} =~ /^event: back$/m } events($line, 1)), 'one alone goes on');
};

subtest 'what was numbered and not published' => sub {
    kill_helper();
    told($ws, 'unpublished', $everyone);
    # as a helper that dies right after numbering leaves it
    $t->db->do(q(WITH c AS (UPDATE portal.event_counters SET numbered = numbered + 1 WHERE workspace_id = ? RETURNING numbered),
        a AS (INSERT INTO portal.event_audiences SELECT ?, 'workspace', numbered FROM c)
        UPDATE portal.events SET number = c.numbered FROM c WHERE type = 'unpublished'), undef, $ws->{id}, $ws->{id});
    $t->start('helper');
    is_whole('then');
    my ($newest) = $redis->xrevrange('portal:{events}', '+', '-', 'COUNT', 1);
    my %entry = @{ $newest->[1] };
    like($entry{text}, qr/^event: unpublished$/m, 'is published by whoever comes next');
    $line = listens(dial(), $ws, 'workspace');
};

subtest 'Redis restarts' => sub {
    told($ws, 'before', $everyone);
    events($line, 1);
    $t->stop('redis', 'KILL');
    told($ws, "meanwhile.$_", $everyone) for 1 .. 20;
    ok($t->wait_for(sub { !$t->value('SELECT count(*) FROM portal.events WHERE number IS NULL') }), 'numbers are given all the while');
    $t->start('redis');
    my $gap = until_type($line, GAP, 10);
    is($gap && $gap->{workspace}, '00000000-0000-0000-0000-000000000000', 'a gap of all is told');
    is_whole('then');
    told($ws, 'afterwards', $everyone);
    ok((grep { $_->{text} =~ /^event: afterwards$/m } events($line, 25, 5)), 'and it goes on');
};

subtest 'a hole' => sub {
    told($ws, 'whole', $everyone);
    my ($event) = events($line, 1);
    $t->redis->xadd('portal:{events}', '*', workspace => $ws->{id}, number => $event->{number} + 3, audiences => '', text => '');
    my $gap = until_type($line, GAP);
    is($gap && $gap->{workspace}, $ws->{id}, 'is a gap of its workspace');
    $t->redis->xadd('portal:{events}', '*', workspace => $ws->{id}, number => $event->{number} + 3, audiences => 'workspace', text => 'x');
    is(frame($line, 0.3), undef, 'what was seen is passed over');
    $t->restart('helper');
    $line = listens(dial(), $ws, 'workspace');
    warm($line);
};

# ---- those who do not read

subtest 'a line that does not read' => sub {
    # 6 MB, where a line may have 4 unread; whoever reads nothing for ten seconds is hung up on
    my $deaf = listens(dial(), $ws, 'workspace');
    my $memory = sub { my ($kb) = PortalTest::slurp('/proc/' . $t->pid('helper') . '/status') =~ /VmRSS:\s+(\d+)/; $kb };
    my $before = $memory->();
    my $dbh = connection();
    my $start = time;
    my $read = 0;
    for (1 .. 8) {
        $dbh->do(q(INSERT INTO portal.events (workspace_id, type, audience, data) SELECT ?, 'flood', '{"workspace": true}', jsonb_build_object('x', repeat('x', 8000))
            FROM generate_series(1, 100)), undef, $ws->{id});
        $read += events($line, 100, 10);
    }
    is($read, 800, 'who reads gets everything');
    note sprintf 'flood: %.1f s, memory %d -> %d kB', time - $start, $before, $memory->();
    my @got = frames($deaf, 1);
    ok((grep { $_->{type} eq GAP && $_->{workspace} =~ /^0{8}/ } @got), 'it is told a gap');
    cmp_ok(scalar(grep { $_->{type} eq EVENT } @got), '<', 800, 'instead of what did not fit');
    cmp_ok($memory->() - $before, '<', PortalTest::asan() ? 300_000 : 40_000, 'memory stays flat');    # a sanitizer holds 256 MB back
    told($ws, 'later', $everyone);
    my ($end, $later) = time + 5;    # whatever of the flood is still on its way comes before it
    while (!$later && (my $f = frame($deaf, $end - time))) { $later = $f->{type} eq EVENT && $f->{text} =~ /^event: later$/m }
    ok($later, 'and it hears what comes later') or diag sprintf 'last heard of: %s', join ' ', map { $_->{type} } frames($deaf, 3);
};

subtest 'load' => sub {
    my ($seconds, $rate) = (3, 2000);
    my $writer = $t->apart(sub {
        my $dbh = connection();
        my $insert = $dbh->prepare(q(INSERT INTO portal.events (workspace_id, type, audience, data)
            SELECT ?, 'load', '{"workspace": true}', jsonb_build_object('at', extract(epoch FROM clock_timestamp())) FROM generate_series(1, ?)));
        my $start = time;
        for my $n (1 .. $seconds * 100) {
            $insert->execute($ws->{id}, $rate / 100);
            my $ahead = $start + $n / 100 - time;
            sleep $ahead if $ahead > 0;
        }
        time - $start;
    });
    my ($start, $end, @took, @beats, $last) = (time, time + 15);
    while (@took < $seconds * $rate && time < $end) {
        IO::Select->new($line)->can_read(1) or next;
        recv($line, my $bytes, 65536, 0);
        my $type = ord substr $bytes, 1, 1;
        push @beats, time if $type == BEAT;
        next unless $type == EVENT;
        my ($at) = $bytes =~ /"at":([\d.]+)/ or next;
        push @took, 1000 * (time - $at);
    }
    my $wrote = $writer->();
    my @sorted = sort { $a <=> $b } @took;
    is(scalar @took, $seconds * $rate, 'everything arrives');
    note sprintf '%d events/s: latency p50 %.1f ms, p99 %.1f ms, max %.1f ms; written in %.2f s, read in %.2f s', $rate, $sorted[@sorted / 2], $sorted[@sorted * 0.99],
        $sorted[-1], $wrote, time - $start;
    my ($longest) = sort { $b <=> $a } map { $beats[$_] - $beats[$_ - 1] } 1 .. $#beats;
    note sprintf '%d beats, longest pause %.0f ms', scalar @beats, 1000 * $longest;
    cmp_ok($longest, '<', 0.75, 'beats stay on time');
};

subtest 'latency at rest' => sub {
    my @took;
    for (1 .. 100) {
        told($ws, 'one', $everyone);
        my $committed = time;
        my ($event) = events($line, 1);
        push @took, 1000 * ($event->{at} - $committed) if $event;
        sleep 0.01;
    }
    my @sorted = sort { $a <=> $b } @took;
    is(scalar @took, 100);
    note sprintf 'one at a time: p50 %.1f ms, p99 %.1f ms', @sorted[50, 98];
    cmp_ok($sorted[98], '<', 100, 'within 100 ms');
};

# ---- claims

subtest 'claims' => sub {
    my ($one, $two) = (dial(), dial());
    my $key = bytes_of($t->value('SELECT gen_random_uuid()'));
    my $ticket = 0;
    my $claim = sub { my ($who, $limit) = @_; ask($who, CLAIM, pack 'Q<a16L<', ++$ticket, $key, $limit); my $f = until_type($who, CLAIMED); $f->{ticket} == $ticket or die; $f->{granted} };
    is_deeply([$claim->($one, 3), $claim->($one, 3), $claim->($two, 3)], [1, 1, 1], 'up to the limit, over all lines');
    is($claim->($two, 3), 0, 'not beyond it');
    ask($one, RELEASE, $key);
    is($claim->($two, 3), 1, 'what is released is free');
    close $one;
    ok($t->wait_for(sub { $claim->($two, 3) }), 'and what a dead line held');
    is($claim->($two, 3), 0);
    ask($two, RELEASE, $key) for 1 .. 5;
    my $three = dial();
    is($claim->($three, 0), 1, 'for one alone');
    is($claim->($two, 0), 1, 'taken by another');
    my $evicted = until_type($three, EVICT);
    is($evicted && $evicted->{payload}, $key, 'who had it is told');
    ask($three, RELEASE, $key);
    is($claim->($three, 1), 0, 'and cannot release what it has lost');
    is($claim->($two, 0), 1, 'taken from oneself');
};

subtest 'nobody listens' => sub {
    $t->restart('helper');
    told($ws, 'quiet', $everyone);
    ok($t->wait_for(sub { $t->value("SELECT number FROM portal.events WHERE type = 'quiet'") }, 3), 'it is numbered all the same');
    ok($t->wait_for(sub { !publisher() }, 1), 'and the turn given back');
};

subtest 'without Redis' => sub {
    $t->stop('helper');
    $t->write_file('portal.toml', PortalTest::slurp("$dir/portal.toml") =~ s/^redis = .*\n//mr);
    $t->start('helper');
    my $customer = $t->value('SELECT gen_random_uuid()');
my $line = listens(dial(), $ws, 'workspace');
    told($ws, "alone.$_", $everyone) for 1 .. 10;
    is_deeply([map { $_->{text} =~ /^event: (.*)/m } events($line, 10)], [map { "alone.$_" } 1 .. 10], 'one node needs none');
    is_whole('at the end');
};

$t->done;
