# The mail of a login code: what it says, and that it dies with its code.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(toml_mail => 'timeout = 4');
my $ws = $t->workspace(slug => 'acme', name => 'Größe & Co', mail_reply_to => 'reply@example.com');
my $clients = 0;
sub request_code {
    my (%body) = @_;
    $clients++;
    my $response = $t->post('/api/customer-portal/customer-session/request', json => \%body, headers => { 'X-Real-IP' => "10.1.0.$clients" });
    is($response->code, 202, 'asked for');
    return json_of($response)->{challenge_id};
}
sub outbox { $t->row('SELECT * FROM portal.outbox WHERE challenge_id = ?', $_[0]) }
sub becomes {
    my ($challenge, $state, $seconds) = @_;
    my $row;
    ok($t->wait_for(sub { $row = outbox($challenge); $row && $row->{state} eq $state }, $seconds // 10), "becomes $state") or diag explain $row;
    return $row;
}
sub due { $t->db->do('UPDATE portal.outbox SET next_attempt_at = now() WHERE challenge_id = ?', undef, $_[0]) }
sub count { scalar(my @files = $t->mail_files) }

subtest 'what it says' => sub {
    $t->customer($ws, email => 'Zoë@example.com', name => 'nobody can be mailed here');
    my $customer = $t->customer($ws, email => 'Zoe+1@example.com', name => 'Zoë');
    my $challenge = request_code(email => 'zoe+1@example.com', workspace_id => $ws->{id});
    my $row = becomes($challenge, 'sent');
    my ($mail) = $t->mails(1);
    is($mail->{subject}, 'Your sign-in code for Größe & Co', 'subject');
    is($mail->{from}, 'Größe & Co <portal@example.com>', 'From');
    is($mail->{to}, 'Zoë <Zoe+1@example.com>', 'To');
    is($mail->{'reply-to'}, '<reply@example.com>', 'Reply-To');
    is($mail->{headers}{'message-id'}[0], "<$row->{message_id}\@127.0.0.1>", 'Message-ID');
    like($mail->{text}, qr/^Your code to sign in to Größe & Co is:\r?$/m, 'text');
    my ($code) = $mail->{text} =~ /\r?\n\r?\n {4}([A-Z0-9]{6})\r?\n\r?\n/;
    ok($code, 'the code is a block of its own');
    like($mail->{html}, qr{<div style="[^"]*">$code</div>}, 'in HTML, too');
    like($mail->{html}, qr/<strong>Größe &amp; Co<\/strong>/, 'escaped there');
    like($mail->{$_}, qr/valid for 10 minutes/, "how long it lives ($_)") for qw(text html);
    my @lines = split /\r?\n/, $mail->{text} =~ s/\s+\z//r;
    is($lines[-1], "\@127.0.0.1 #$code", 'the last line is for autofill');
    unlike($mail->{head}, qr/$code/, 'the code is in no header');
    unlike(join(' ', map { $_ // '' } values %$row), qr/$code|example\.com/, 'nor in the outbox, nor the address');
    unlike($t->log_text($_), qr/$code/, "nor in $_") for qw(error.log access.log helper.log postgres.log);
};

subtest 'who gets it' => sub {
    my $club = $t->workspace(slug => 'club', member_model => 1, mail_from_name => 'The Club');
    my $team = $t->customer($club, type => 'team', email => 'team@example.com', name => 'Team');
    $t->member($team);
    $t->member($team, email => 'ann@example.com', name => 'Ann', role => 'member');
    my $count = count();
    becomes(request_code(email => 'ann@example.com', workspace_id => $club->{id}), 'sent');
    my $mail = ($t->mails($count + 1))[-1];
    is($mail->{to}, '"Ann" <ann@example.com>', 'a member gets their own');
    is($mail->{from}, '"The Club" <portal@example.com>', 'from the workspace');
    # two workspaces: nothing is said of either
    $t->customer($ws, email => 'both@example.com');
    $t->customer($t->workspace, email => 'Both@example.com');
    becomes(request_code(email => 'both@example.com'), 'sent');
    $mail = ($t->mails($count + 2))[-1];
    is($mail->{subject}, 'Your sign-in code', 'no workspace in the subject');
    is($mail->{from}, '"Portal" <portal@example.com>', 'nor in From');
    like($mail->{text}, qr/^Your code to sign in is:\r?$/m, 'nor in the text');
    is(($t->mails)[-1]{headers}{'x-rcptto'}[0], 'both@example.com', 'the older one\'s spelling');
};

subtest 'for nobody: dropped unsent' => sub {
    my $count = count();
    my $challenge = request_code(email => 'nobody@example.com', workspace_id => $ws->{id});
    ok($t->wait_for(sub { !outbox($challenge) }), 'its row is gone');
    is(count(), $count, 'no mail');
    $t->stop('helper');
    request_code(email => "nobody$_\@example.com") for 1 .. 30;
    my $last = do { $t->customer($ws, email => 'last@example.com'); request_code(email => 'last@example.com') };
    my $queue = $t->ctl(qw(mail queue));
    is_deeply([map { "$_->{kind} " . ($_->{workspace} // '-') . ' ' . ($_->{to} // '-') } grep { $_->{state} eq 'queued' } @{ $queue->{data} }],
        ['login_code - -'], 'portalctl shows only what will be sent, and not to whom');
    $t->start('helper');
    becomes($last, 'sent');
    ok($t->wait_for(sub { $t->value('SELECT count(*) FROM portal.outbox WHERE unsent') == 0 }), 'all of them are dropped');
    is(count(), $count + 1, 'one mail');
};

subtest 'it overtakes what waits' => sub {
    my $due = sub { $t->value('SELECT next_attempt_at < now() - interval \'59 minutes\' FROM portal.outbox WHERE challenge_id = ?', $_[0]) };
    $t->stop('helper');
    $t->customer($ws, email => 'fast@example.com');
    my $challenge = request_code(email => 'fast@example.com');
    ok($due->($challenge), 'as if it had waited for an hour');
    $t->start('helper');
    becomes($challenge, 'sent');
};

subtest 'it is retried soon, and dies with its code' => sub {
    $t->customer($ws, email => 'late@example.com');
    $t->mail_mode('tempfail');
    my $challenge = request_code(email => 'late@example.com');
    ok($t->wait_for(sub { my $row = outbox($challenge); $row && defined $row->{reply} }), 'put off');
    my $wait = $t->value('SELECT extract(epoch FROM next_attempt_at - now()) FROM portal.outbox WHERE challenge_id = ?', $challenge);
    ok($wait > 2 && $wait <= 5, 'for five seconds') or diag $wait;
    my $count = count();
    $t->mail_mode('accept');
    my $again = $challenge;
    $t->db->do('UPDATE portal.login_challenges SET expires_at = now() WHERE id = ?', undef, $challenge);
    due($challenge);
    my $row = becomes($challenge, 'failed', 8);
    is($row->{reply}, 'the code has expired', 'why');
    for my $case (['consumed_at = now()', 'the code was used'], ['tries = 5', 'the code was tried too often']) {
        $t->stop('helper');
        $challenge = request_code(email => 'late@example.com');
        $t->db->do("UPDATE portal.login_challenges SET $case->[0] WHERE id = ?", undef, $challenge);
        $t->start('helper');
        is(becomes($challenge, 'failed')->{reply}, $case->[1], $case->[1]);
    }
    $t->stop('helper');
    my $customer = $t->customer($ws, email => 'leaves@example.com');
    $challenge = request_code(email => 'leaves@example.com');
    $t->db->do('UPDATE portal.customers SET deleted_at = now() WHERE id = ?', undef, $customer->{id});
    $t->start('helper');
    is(becomes($challenge, 'failed')->{reply}, 'the address is nobody\'s any more', 'the customer is gone');
    is(count(), $count, 'no mail of any');
    my ($code, $out) = $t->ctl_run(qw(mail retry), outbox($again)->{id});
    is($code, 1, 'portalctl mail retry refuses');
    like($out, qr/ended with its code; a new one is asked for where one signs in/, 'and says what to do');
};

subtest 'kill -9 between claim and send loses nothing' => sub {
    my $count = count();
    $t->customer($ws, email => 'crash@example.com');
    $t->mail_mode('hang');
    my $challenge = request_code(email => 'crash@example.com');
    ok($t->wait_for(sub { my $row = outbox($challenge); $row && $row->{lease_owner} }), 'the helper has it in hand');
    $t->stop('helper', 'KILL');
    $t->mail_mode('accept');
    Time::HiRes::sleep(0.3);
    is(count(), $count, 'the cut delivery is no mail');
    $t->start('helper');
    is(becomes($challenge, 'sent', 30)->{attempts}, 2, 'sent by the next, when the lease has run out');
    is(count(), $count + 1, 'once');
    my $response = $t->post('/api/customer-portal/customer-session/authenticate', json => { challenge_id => $challenge, code => $t->login_code('crash@example.com') });
    is_status($response, 200, 'and it opens');
};

$t->done;
