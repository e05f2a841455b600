# The helper's socket: who dials is welcomed, hears beats while PostgreSQL answers, and every change of a credential.
use strict; use warnings; use utf8;
use Test::More;
use Socket;
use IO::Select;
use Time::HiRes qw(time sleep);
use PortalTest;

my $t = PortalTest->new(nginx => 0, redis => 0);
my $ws = $t->workspace;

sub dial {
    my ($hello) = @_;
    socket(my $line, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
    connect($line, pack_sockaddr_un($t->dir . '/helper.sock')) or die "connect: $!";
    send($line, $hello // "\x03\x01", 0);
    return $line;
}
# The frames that come within some seconds, or until one of this type: [type, payload, when].
sub frames {
    my ($line, $seconds, $type) = @_;
    my ($end, @frames) = time + $seconds;
    while ((my $left = $end - time) > 0) {
        IO::Select->new($line)->can_read($left) or last;
        my $frame;
        defined recv($line, $frame, 65536, 0) && length $frame or return @frames, ['closed'];
        my ($version, $kind, $payload) = unpack 'CCa*', $frame;
        push @frames, [$kind, $payload, time];
        last if $type && $kind == $type;
    }
    return @frames;
}
sub of_type { my ($type, @frames) = @_; grep { $_->[0] eq $type } @frames }
sub uuid { join '-', unpack 'H8H4H4H4H12', $_[0] }

my $line = dial();
subtest 'welcome' => sub {
    my ($welcome) = frames($line, 5, 3);
    is($welcome->[0], 3, 'welcome comes first');
    is(length $welcome->[1], 16, 'with the helper\'s id');
    my $mode = (stat $t->dir . '/helper.sock')[2] & 07777;
    is($mode, 0660, 'the socket is for owner and group');
};

subtest 'beats' => sub {
    frames($line, 5, 4);
    my @beats = of_type(4, frames($line, 3));
    ok(@beats >= 9 && @beats <= 13, 'four a second') or diag scalar @beats;
};

subtest 'bumps' => sub {
    my $token = $t->token($ws, 'client_portal:read');
    frames($line, 0.3);
    my $start = time;
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE id = ?', undef, $t->token_id($token));
    my ($bump) = of_type(5, frames($line, 3, 5));
    is($bump && uuid($bump->[1]), $t->token_id($token), 'the revoked token\'s id');
    cmp_ok(time - $start, '<', 0.5, 'soon');
    $t->db->do('UPDATE portal.workspaces SET blocked_at = now() WHERE id = ?', undef, $ws->{id});
    ($bump) = of_type(5, frames($line, 3, 5));
    is($bump && uuid($bump->[1]), $ws->{id}, 'the blocked workspace\'s id');
    $t->db->do(q(NOTIFY portal_changed, 'nonsense'));
    ok(of_type(6, frames($line, 3, 6)), 'what is no id counts as everything');
};

subtest 'no beats without PostgreSQL' => sub {
    $t->stop('postgres');
    frames($line, 0.4);
    is(scalar of_type(4, frames($line, 1.5)), 0, 'silent');
    $t->start('postgres');
    my @frames = frames($line, 15, 6);
    ok(of_type(6, @frames), 'everything counts as changed when it is back');
    ok(of_type(4, frames($line, 5, 4)), 'and the beats go on');
};

subtest 'no beats while PostgreSQL is frozen' => sub {
    my @processes = map { split ' ' } grep { defined } slurp("/proc/@{[$t->pid('postgres')]}/task/@{[$t->pid('postgres')]}/children");
    kill 'STOP', @processes;
    frames($line, 0.5);
    is(scalar of_type(4, frames($line, 1.2)), 0, 'silent');
    kill 'CONT', @processes;
    ok(of_type(4, frames($line, 15, 4)), 'and back');
};

subtest 'send this now' => sub {
    my $workspace = $t->workspace;
    my $made = $t->ctl('invite', 'contact', '--workspace', $workspace->{slug}, $t->contact($workspace)->{id}, '--wait');
    is($made->{message}, 'Portal invitation sent successfully', 'portalctl was told');
    my $id = $t->value('SELECT id FROM portal.outbox');
    my $ask = sub {
        my ($ticket, $uuid) = @_;
        send($line, "\x03\x02" . pack('Q<', $ticket) . pack('H32', $uuid =~ s/-//gr), 0);
        my ($sent) = of_type(7, frames($line, 5, 7));
        return unpack 'Q<Ca*', $sent->[1] // '';
    };
    my ($ticket, $result, $reply) = $ask->(77, $id);
    is($ticket, 77, 'the ticket');
    is($result, 0, 'sent, though it was long ago');
    like($reply, qr/^250 /, 'the server\'s words');
    ($ticket, $result) = $ask->(78, '00000000-0000-4000-8000-000000000000');
    is($result, 1, 'an unknown one is refused');
    is(scalar(my @files = $t->mail_files), 1, 'one mail in all');
};

subtest 'a mail asked for twice at once is sent once' => sub {
    my $workspace = $t->workspace;
    $t->mail_mode('hang');
    my $made = $t->ctl('invite', 'contact', '--workspace', $workspace->{slug}, $t->contact($workspace)->{id});
    my $id = $t->value('SELECT id FROM portal.outbox ORDER BY created_at DESC LIMIT 1');
    my $other = dial();
    my $frame = sub { "\x03\x02" . pack('Q<', $_[0]) . pack('H32', $id =~ s/-//gr) };
    send($line, $frame->(1), 0);
    send($line, $frame->(2), 0);
    send($other, $frame->(3), 0);
    sleep 0.5;
    $t->mail_mode('accept');
    my %result;
    for ($line, $line, $other) {
        my ($sent) = of_type(7, frames($_, 5, 7)) or next;
        my ($ticket, $result) = unpack 'Q<C', $sent->[1];
        $result{$ticket} = $result;
    }
    is_deeply(\%result, { 1 => 0, 2 => 0, 3 => 0 }, 'all are told');
    is(scalar(my @files = $t->mail_files), 2, 'one mail');
};

subtest 'other tongues' => sub {
    for my $hello ("\x02\x01", "\x03\x09", "x" x 60000, "\x03\x02") {
        my $stranger = dial($hello);
        is((frames($stranger, 3, 99))[-1][0], 'closed', 'closed');
    }
    ok(of_type(4, frames($line, 3, 4)), 'the others hear nothing of it');
};

$t->done;
