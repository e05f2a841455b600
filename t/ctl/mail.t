# portalctl invite, and what mail queue and mail retry make of the mails.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0, redis => 0);
my $ws = $t->workspace;
my @in = ('-w', $ws->{slug});
my $contact = $t->contact($ws, email => 'ann@example.com', name => 'Ann');
my $company = $t->company($ws, email => 'office@example.com');

sub queue { $t->ctl(qw(mail queue), @_)->{data} }
sub refused {
    my ($pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($code, undef, $out, $err) = $t->ctl_run(@arguments);
    is($code, 1, "@arguments");
    like($err, $pattern, 'says why');
}

$t->mail_mode('accept');
subtest 'sent while one waits' => sub {
    my ($code, undef, $out) = $t->ctl_run(qw(invite contact), $contact->{id}, @in, '--wait', '--message', 'Grüße & <b>', '--json');
    is($code, 0);
    is_deeply([keys_of($out)], [qw(message token)]);
    my $sent = json_of($out);
    is($sent->{message}, 'Portal invitation sent successfully');
    my ($mail) = $t->mails(1);
    like($mail->{to}, qr/ann\@example\.com/);
    like($mail->{text}, qr/Grüße & <b>/, 'the words are in it');
    like($mail->{text}, qr/\Q$sent->{token}\E/, 'and the link');
    is($t->ctl(qw(invite company), $company->{id}, @in, '--wait')->{message}, 'Portal invitation sent successfully');
    is_deeply([map { "$_->{to} $_->{state}" } @{ queue(qw(--state sent)) }],
        ["company $company->{id} sent", "contact $contact->{id} sent"], 'newest first');
    is_deeply(queue(), [], 'nothing waits');
};

subtest 'without waiting' => sub {
    is($t->ctl(qw(invite contact), $contact->{id}, @in)->{message}, 'Portal invitation queued');
    is(scalar(my @all = $t->mails(3)), 3, 'the helper was told');
    my (undef, undef, $out) = $t->ctl_run(qw(invite contact), $contact->{id}, @in);
    like($out, qr{^Link +\Q@{[$t->base_url]}\E/client-portal/portal_cpt_\S+$}m, 'for people: the link');
};

subtest 'refused' => sub {
    my $mute = $t->contact($ws, email => undef);
    my $foreign = $t->contact($t->workspace, id => 77);
    refused(qr/Contact does not have an email address/, qw(invite contact), $mute->{id}, @in);
    refused(qr/Company not found/, qw(invite company 99), @in);
    refused(qr/Contact not found/, qw(invite contact 77), @in);
    refused(qr/custom_message: String should have at most 2000/, qw(invite contact), $contact->{id}, @in, '--message', 'x' x 2001);
    $t->mail_mode('refuse');
    refused(qr/Failed to send portal invitation: \S/, qw(invite contact), $contact->{id}, @in, '--wait');
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens WHERE revoked_at IS NOT NULL'), 1, 'its token is revoked');
};

subtest 'the queue' => sub {
    $t->mail_mode('tempfail');
    is($t->ctl(qw(invite contact), $contact->{id}, @in, '--wait')->{message}, 'Portal invitation queued');
    my ($mail) = grep { $_->{state} eq 'queued' } @{ queue() };
    ok($mail->{reply}, 'what the server said');
    is($mail->{to}, "contact $contact->{id}");
    is($mail->{workspace}, $ws->{slug});
    unlike(($t->ctl_run(qw(mail queue --state all)))[1], qr/\@|portal_cpt_/, 'no address and no link');
    is_deeply(queue('-w', $t->workspace->{slug}), [], 'of another workspace');
    is_deeply($t->ctl(qw(mail retry --all -w), $t->workspace->{slug}), { retried => [] });

    my $before = () = $t->mail_files;
    $t->mail_mode('accept');
    is_deeply($t->ctl(qw(mail retry), $mail->{id}), { retried => [$mail->{id}] }, 'retry');
    ok($t->wait_for(sub { $t->value('SELECT state FROM portal.outbox WHERE id = ?', $mail->{id}) eq 'sent' }, 3), 'it goes out at once');
    refused(qr/$mail->{id} was sent/, qw(mail retry), $mail->{id});
    refused(qr/1 of these ids are unknown/, qw(mail retry 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55));
    my ($failed) = @{ queue(qw(--state failed)) };
    ok($failed, 'one has failed');
    refused(qr/was refused for good.*portalctl invite contact $contact->{id} -w \Q$ws->{slug}\E/, qw(mail retry), $failed->{id});
    is(($t->ctl_run(qw(mail retry nonsense)))[0], 2);
};

subtest 'no helper' => sub {
    $t->stop('helper');
    is($t->ctl(qw(invite contact), $contact->{id}, @in, '--wait')->{message}, 'Portal invitation queued', 'it waits for one');
    is(scalar(grep { $_->{state} eq 'queued' } @{ queue() }), 1);
    $t->start('helper');
    ok($t->wait_for(sub { !grep { $_->{state} eq 'queued' } @{ queue() } }, 5), 'which sends it when it is back');
};

$t->done;
