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

subtest 'SIGTERM lets a delivery finish' => sub {
    my $count = count();
    $t->mail_mode('hang');
    my $id = queue();
    in_hand($id);
    $t->signal('helper', 'TERM');
    Time::HiRes::sleep(0.5);
    $t->mail_mode('accept');
    my $pid = $t->pid('helper');
    ok($t->wait_for(sub { waitpid($pid, 1) == $pid }, 8), 'it ends');
    is($?, 0, 'with 0');
    delete $t->{pid}{helper};
    is(outbox($id)->{state}, 'sent', 'sent and recorded');
    is(count(), $count + 1, 'once');
    ok(!-e $t->dir . '/helper.sock', 'its socket is gone');
    $t->start('helper');
};

subtest 'SIGTERM gives back what does not finish' => sub {
    $t->stop('helper');
    $t->write_file('portal.toml', slurp($t->dir . '/portal.toml') =~ s/timeout = 4/timeout = 60/r);
    $t->start('helper');
    $t->mail_mode('hang');
    my $id = queue();
    in_hand($id);
    my $start = time;
    my $pid = $t->pid('helper');
    $t->signal('helper', 'TERM');
    ok($t->wait_for(sub { waitpid($pid, 1) == $pid }, 14), 'it ends');
    is($?, 0, 'with 0');
    delete $t->{pid}{helper};
    my $took = time - $start;
    ok($took > 7 && $took < 13, 'after its grace') or diag $took;
    my $row = outbox($id);
    is($row->{state}, 'queued', 'still queued');
    is($row->{lease_owner}, undef, 'without a lease');
    is($row->{attempts}, 0, 'not counted');
    $t->mail_mode('accept');
    $t->start('helper');
    ok($t->wait_for(sub { outbox($id)->{state} eq 'sent' }, 10), 'sent by the next at once');
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
