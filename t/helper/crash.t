# kill -9 between claim and send, SIGTERM in the middle of a delivery, several helpers at once.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(time);
use PortalTest;

# leases end 15 s after the longest delivery
my $t = PortalTest->new(nginx => 0, redis => 0, toml_mail => 'timeout = 4');
my $ws = $t->workspace;
sub queue {
    $t->ctl('invite', 'contact', '--workspace', $ws->{slug}, $t->contact($ws)->{id});
    return $t->value('SELECT id FROM portal.outbox ORDER BY created_at DESC LIMIT 1');
}
sub outbox { $t->row('SELECT *, lease_until > now() AS leased FROM portal.outbox WHERE id = ?', $_[0]) }
sub count { scalar(my @files = $t->mail_files) }
sub in_hand { my ($id) = @_; ok($t->wait_for(sub { outbox($id)->{leased} }), 'the helper has it in hand') }

subtest 'kill -9 in the middle of a delivery loses nothing' => sub {
    $t->mail_mode('hang');
    my $id = queue();
    in_hand($id);
    $t->stop('helper', 'KILL');
    is(outbox($id)->{state}, 'queued', 'still queued');
    is(count(), 0, 'not sent');
    $t->mail_mode('accept');
    Time::HiRes::sleep(0.5);
    my $before = count();    # what the server made of the cut connection
    is($before, 0, 'the cut delivery is no mail');
    $t->start('helper');
    ok($t->wait_for(sub { outbox($id)->{state} eq 'sent' }, 30), 'sent by the next, when the lease has run out');
    is(outbox($id)->{attempts}, 2, 'at the second attempt');
    is(count(), 1, 'once');
};

# The helper has been told to stop: seconds until it has.
sub ends {
    my ($seconds) = @_;
    my ($start, $pid) = (time, $t->pid('helper'));
    ok($t->wait_for(sub { waitpid($pid, 1) == $pid }, $seconds), 'it ends');
    is($?, 0, 'with 0');
    delete $t->{pid}{helper};
    return time - $start;
}

for my $signal (qw(TERM QUIT)) {
    subtest "SIG$signal lets a delivery finish" => sub {
        my $count = count();
        $t->mail_mode('hang');
        my $id = queue();
        in_hand($id);
        $t->signal('helper', $signal);
        Time::HiRes::sleep(0.5);
        $t->mail_mode('accept');
        ends(8);
        is(outbox($id)->{state}, 'sent', 'sent and recorded');
        is(count(), $count + 1, 'once');
        ok(!-e $t->dir . '/helper.sock', 'its socket is gone');
        $t->start('helper');
    };
}

subtest 'SIGTERM gives back what does not finish' => sub {
    $t->stop('helper');
    $t->write_file('portal.toml', slurp($t->dir . '/portal.toml') =~ s/timeout = 4/timeout = 60/r);
    $t->start('helper');
    $t->mail_mode('hang-rcpt');
    my $id = queue();
    in_hand($id);
    $t->signal('helper', 'TERM');
    my $took = ends(14);
    ok($took > 7 && $took < 13, 'after its grace') or diag $took;
    my $row = outbox($id);
    is($row->{state}, 'queued', 'still queued');
    is($row->{lease_owner}, undef, 'without a lease');
    is($row->{attempts}, 0, 'not counted');
    $t->mail_mode('accept');
    $t->start('helper');
    ok($t->wait_for(sub { outbox($id)->{state} eq 'sent' }, 10), 'sent by the next at once');
};

# the mail server has a mail and says nothing; the helper is told to stop, and again
sub hurried {
    $t->mail_mode('hang');
    my $id = queue();
    in_hand($id);
    Time::HiRes::sleep(0.5);
    $t->signal('helper', 'TERM');
    Time::HiRes::sleep(0.2);
    $t->signal('helper', 'TERM');
    return $id;
}

subtest 'told to hurry, it hears what the mail server says to a mail it has' => sub {
    my $count = count();
    my $id = hurried();
    Time::HiRes::sleep(0.3);
    $t->mail_mode('accept');
    ends(6);
    is(outbox($id)->{state}, 'sent', 'sent and recorded');
    is(count(), $count + 1, 'once');
    $t->start('helper');
};

subtest 'a mail whose fate is unknown stays leased' => sub {
    my $count = count();
    my $id = hurried();
    cmp_ok(ends(6), '>', 1.5, 'not without waiting a little');
    ok(outbox($id)->{leased}, 'nobody else takes it for now');
    is(outbox($id)->{attempts}, 1, 'the attempt counts');
    $t->mail_mode('accept');
    $t->start('helper');
    $t->db->do('UPDATE portal.outbox SET lease_until = now() WHERE id = ?', undef, $id);
    ok($t->wait_for(sub { outbox($id)->{state} eq 'sent' }, 10), 'sent by the next when the lease has run out');
    is(count(), $count + 1, 'once');
};

subtest 'with PostgreSQL frozen, too, it ends in time' => sub {
    my $count = count();
    $t->mail_mode('hang');
    my $id = queue();
    in_hand($id);
    my $pid = $t->pid('postgres');
    my @frozen = ($pid, map { split ' ' } slurp("/proc/$pid/task/$pid/children"));
    kill 'STOP', @frozen;
    $t->signal('helper', 'TERM');
    cmp_ok(ends(20), '<', 14, 'sooner than systemd would kill it');
    kill 'CONT', @frozen;
    $t->mail_mode('accept');
    $t->start('helper');
    $t->db->do(q(UPDATE portal.outbox SET lease_until = now() WHERE id = ?), undef, $id);
    ok($t->wait_for(sub { outbox($id)->{state} eq 'sent' }, 10), 'sent by the next when the lease has run out');
    is(count(), $count + 1, 'once');
};

subtest 'two helpers send each mail once' => sub {
    my $count = count();
    my $dir = $t->dir;
    $t->write_file('second.toml', slurp("$dir/portal.toml") =~ s/helper\.sock/second.sock/r);
    $t->spawn('second', [], $t->build . '/portal-helper', '--config', "$dir/second.toml");
    ok($t->wait_for(sub { -S "$dir/second.sock" }), 'the second is there');
    my @ids = map { queue() } 1 .. 20;
    ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.outbox WHERE state <> 'sent')) == 0 }, 20), 'all are sent');
    my %seen;
    $seen{ $_->{headers}{'message-id'}[0] }++ for $t->mails($count + 20);
    is(scalar(grep { $_ > 1 } values %seen), 0, 'none twice');
    is(count(), $count + 20, 'as many mails as invitations');
    my ($code, $out) = $t->run('helper', $t->build . '/portal-helper', '--config', "$dir/portal.toml");
    is($code, 1, 'a third at the same socket is refused');
    like($out, qr/another portal-helper answers/, 'and told why');
    kill 'TERM', delete $t->{pid}{second};
    waitpid -1, 0;
};

$t->done;
