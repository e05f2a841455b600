# The mail server and PostgreSQL go away and come back: nothing is lost, nothing is sent twice.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0, redis => 0, toml_mail => 'timeout = 20');
my $ws = $t->workspace;
sub queue {
    $t->ctl('invite', 'contact', '--workspace', $ws->{slug}, $t->contact($ws)->{id});
    return $t->value('SELECT id FROM portal.outbox ORDER BY created_at DESC LIMIT 1');
}
sub outbox { $t->row('SELECT *, lease_until > now() AS leased FROM portal.outbox WHERE id = ?', $_[0]) }
sub count { scalar(my @files = $t->mail_files) }
sub is_sent { my ($id, $name) = @_; ok($t->wait_for(sub { outbox($id)->{state} eq 'sent' }, 20), $name // 'sent') }

subtest 'the mail server is away' => sub {
    $t->await('smtp');
    $t->stop('smtp');
    my $id = queue();
    ok($t->wait_for(sub { my $row = outbox($id); $row->{attempts} && !$row->{lease_owner} }, 20), 'put off');
    is(outbox($id)->{state}, 'queued', 'and still queued');
    like(outbox($id)->{reply}, qr/connect/i, 'why');
    $t->start('smtp');
    $t->await('smtp');
    $t->db->do('UPDATE portal.outbox SET next_attempt_at = now() WHERE id = ?', undef, $id);
    is_sent($id, 'sent when it is back');
    is(count(), 1, 'once');
};

subtest 'PostgreSQL is restarted' => sub {
    my $count = count();
    $t->restart('postgres');
    my $id = queue();
    is_sent($id);
    is(count(), $count + 1, 'once');
};

subtest 'PostgreSQL goes away while a mail is being sent' => sub {
    my $count = count();
    $t->mail_mode('hang');
    my $id = queue();
    ok($t->wait_for(sub { outbox($id)->{leased} }), 'being sent');
    Time::HiRes::sleep(0.5);
    $t->stop('postgres');
    $t->mail_mode('accept');
    ok($t->wait_for(sub { count() > $count }, 10), 'the mail is out');
    Time::HiRes::sleep(1);
    $t->start('postgres');
    is_sent($id, 'and recorded when PostgreSQL is back');
    is(outbox($id)->{attempts}, 1, 'at the first attempt');
    Time::HiRes::sleep(2.5);    # a poll of the outbox later
    is(count(), $count + 1, 'once');
    is($t->value(q(SELECT count(*) FROM portal.events WHERE type = 'client_portal.invitation_sent'
        AND data ->> 'invitation_id' = ?), $id), 1, 'told once');
};

subtest 'PostgreSQL is frozen for longer than the lease of what is sent meanwhile' => sub {
    my $count = count();
    $t->mail_mode('hang');
    my @ids = map { queue() } 1 .. 6;
    ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.outbox WHERE lease_until > now())) == @ids }), 'being sent');
    Time::HiRes::sleep(0.5);
    $t->db->do(q(UPDATE portal.outbox SET lease_until = now() + interval '1 s' WHERE state = 'queued'));
    my $pid = $t->pid('postgres');
    my @frozen = ($pid, map { split ' ' } slurp("/proc/$pid/task/$pid/children"));
    kill 'STOP', @frozen;
    $t->mail_mode('accept');
    ok($t->wait_for(sub { count() == $count + @ids }, 10), 'the mails are out');
    Time::HiRes::sleep(7);    # until nobody waits for an answer any more
    kill 'CONT', @frozen;
    is_sent($_, 'and recorded when PostgreSQL is back') for @ids;
    is($t->value('SELECT max(attempts) FROM portal.outbox WHERE id = ANY (?)', \@ids), 1, 'at the first attempt');
    Time::HiRes::sleep(2.5);
    is(count(), $count + @ids, 'once each');
};

subtest 'what cannot be recorded keeps its lease' => sub {
    my $count = count();
    my $id = queue();
    is_sent($id);
    $t->db->do(q(CREATE FUNCTION portal.refuse_sent() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.state = 'sent' THEN RAISE 'not now'; END IF; RETURN NEW; END $$));
    $t->db->do('CREATE TRIGGER refuse_sent BEFORE UPDATE ON portal.outbox FOR EACH ROW EXECUTE FUNCTION portal.refuse_sent()');
    $id = queue();
    ok($t->wait_for(sub { count() == $count + 2 }, 10), 'the mail is out');
    $t->db->do(q(UPDATE portal.outbox SET lease_until = now() - interval '1 s' WHERE id = ?), undef, $id);
    ok($t->wait_for(sub { outbox($id)->{leased} }, 10), 'its lease is renewed');
    $t->db->do('DROP TRIGGER refuse_sent ON portal.outbox');
    is_sent($id, 'recorded when it can be');
    is(outbox($id)->{attempts}, 1, 'at the first attempt');
    is(count(), $count + 2, 'once');
};

subtest 'the helper starts before PostgreSQL' => sub {
    my $count = count();
    $t->stop('helper');
    my $id = queue();
    $t->stop('postgres');
    $t->start('helper');
    Time::HiRes::sleep(0.5);
    $t->start('postgres');
    is_sent($id);
    is(count(), $count + 1, 'once');
};

$t->done;
