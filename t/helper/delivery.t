# What becomes of a mail in the outbox: accepted, refused, put off, overtaken by events.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my $ws = $t->workspace(mail_from_name => 'Größe & Co', mail_reply_to => 'reply@example.com');

# Queues an invitation and returns its row, without waiting for the helper.
sub queue {
    my ($contact, @option) = @_;
    $t->ctl('invite', 'contact', '--workspace', $ws->{slug}, $contact->{id}, @option);
    return outbox($t->value('SELECT id FROM portal.outbox ORDER BY created_at DESC LIMIT 1'));
}
sub outbox { $t->row('SELECT * FROM portal.outbox WHERE id = ?', $_[0]) }
sub becomes {
    my ($row, $state, $name) = @_;
    my $now;
    ok($t->wait_for(sub { $now = outbox($row->{id}); $now->{state} eq $state }, 10), $name // "becomes $state")
        or diag explain $now;
    return $now;
}
sub events {
    my ($row) = @_;
    return @{ $t->db->selectall_arrayref(q(SELECT * FROM portal.events WHERE data ->> 'invitation_id' = ?
        AND type LIKE '%.invitation\_%' ORDER BY timestamp), { Slice => {} }, $row->{id}) };
}
sub count { scalar(my @files = $t->mail_files) }
sub token_row { $t->row('SELECT * FROM portal.client_portal_tokens WHERE id = ?', $_[0]{token_id}) }
sub due { $t->db->do('UPDATE portal.outbox SET next_attempt_at = now() WHERE id = ?', undef, $_[0]{id}) }

subtest 'accepted' => sub {
    my $contact = $t->contact($ws, name => 'Zoë Ångström');
    my $made = $t->ctl('invite', 'contact', '--workspace', $ws->{slug}, $contact->{id}, '--message', "Grüße\n<b>x</b>");
    my $row = becomes({ id => $t->value('SELECT id FROM portal.outbox') }, 'sent');
    is($row->{attempts}, 1, 'one attempt');
    is($row->{lease_owner}, undef, 'no lease');
    like($row->{reply}, qr/^250 /, 'the server\'s words');
    my ($mail) = $t->mails(1);
    my $link = $t->base_url . "/client-portal/$made->{token}";
    like($mail->{text}, qr/^\Q$link\E\r?$/m, 'the link in the text');
    like($mail->{html}, qr/href="\Q$link\E"/, 'and in the HTML');
    like($mail->{text}, qr/Hello Zoë Ångström,.*Grüße\r?\n<b>x<\/b>/s, 'name and message in the text');
    like($mail->{html}, qr/Hello Zoë Ångström,.*Grüße<br>&lt;b&gt;x&lt;\/b&gt;<br>/s, 'and in the HTML');
    like($mail->{html}, qr/background-color:#3B82F6/, 'the colours');
    is($mail->{subject}, 'Your access to Client Portal', 'subject');
    is($mail->{from}, 'Größe & Co <portal@example.com>', 'From');
    is($mail->{to}, "Zoë Ångström <$contact->{email}>", 'To');
    is($mail->{'reply-to'}, '<reply@example.com>', 'Reply-To');
    is($mail->{headers}{'message-id'}[0], "<$row->{message_id}\@127.0.0.1>", 'Message-ID');
    is($mail->{headers}{'auto-submitted'}[0], 'auto-generated', 'Auto-Submitted');
    like($mail->{headers}{'content-type'}[0], qr{^multipart/alternative; boundary=}, 'text and HTML');
    like($mail->{headers}{date}[0], qr/^\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000$/, 'Date');
    is($mail->{headers}{'x-mailfrom'}[0], 'portal@example.com', 'envelope');
    my @events = events($row);
    is_deeply([map { $_->{type} } @events], ['client_portal.invitation_sent'], 'told once');
    my $data = json_of($events[0]{data});
    is_deeply([sort keys %$data], [qw(expires_at id invitation_id token_id type)], 'its data');
    is_deeply([@$data{qw(id invitation_id token_id type)}], [$contact->{id}, $row->{id}, $row->{token_id}, 'contact'], 'their values');
};

subtest 'refused for good' => sub {
    for my $mode ('refuse 5.7.1 Not wanted', 'refuse-rcpt') {
        $t->mail_mode($mode);
        my $count = count();
        my $row = becomes(queue($t->contact($ws)), 'failed', $mode);
        like($row->{reply}, qr/^550 5\.[71]\.1 (?:Not wanted|No such user here)$/, 'the server\'s words');
        ok($row->{failed_at}, 'when');
        ok(token_row($row)->{revoked_at}, 'the link is revoked');
        is_deeply([map { $_->{type} } events($row)], ['client_portal.invitation_failed'], 'told once');
        is(count(), $count, 'no mail');
    }
    $t->mail_mode('accept');
};

subtest 'put off' => sub {
    for my $mode ('tempfail', 'drop') {
        $t->mail_mode($mode);
        my $count = count();
        my $row = queue($t->contact($ws));
        $t->wait_for(sub { $row = outbox($row->{id}); $row->{attempts} && !$row->{lease_owner} });
        is($row->{state}, 'queued', "$mode: still queued");
        is($row->{attempts}, 1, 'one attempt');
        my $wait = $t->value('SELECT extract(epoch FROM next_attempt_at - now()) FROM portal.outbox WHERE id = ?', $row->{id});
        ok($wait > 7 && $wait <= 10, 'tried again in ten seconds') or diag $wait;
        like($row->{reply}, qr/^451 4\.3\.0 Try again later$/, 'the server\'s words') if $mode eq 'tempfail';
        is(token_row($row)->{revoked_at}, undef, 'the link lives');
        is(scalar events($row), 0, 'nothing told');
        $t->mail_mode('accept');
        due($row);
        my $sent = becomes($row, 'sent');
        is($sent->{attempts}, 2, 'at the second attempt');
        like(($t->mails($count + 1))[-1]{headers}{'message-id'}[0], qr/\Q$row->{message_id}/, 'the same Message-ID');
    }
};

subtest 'given up after a day of attempts' => sub {
    $t->mail_mode('tempfail');
    my $row = queue($t->contact($ws));
    $t->wait_for(sub { !outbox($row->{id})->{lease_owner} && outbox($row->{id})->{attempts} });
    $t->db->do('UPDATE portal.outbox SET attempts = 28, next_attempt_at = now() WHERE id = ?', undef, $row->{id});
    $row = becomes($row, 'failed');
    like($row->{reply}, qr/^given up after a day; last: 451/, 'why');
    ok(token_row($row)->{revoked_at}, 'the link is revoked');
    $t->mail_mode('accept');
};

subtest 'overtaken: revoked, without an address, blocked' => sub {
    my %overtake = (
        'the portal link was revoked' => sub { $t->db->do('UPDATE portal.client_portal_tokens SET revoked_at = now() WHERE id = ?', undef, $_[0]{token_id}) },
        'the portal link has expired' => sub { $t->db->do('UPDATE portal.client_portal_tokens SET expires_at = now() WHERE id = ?', undef, $_[0]{token_id}) },
        'the client portal is not active' => sub { $t->db->do('INSERT INTO portal.client_portal_configs (workspace_id, is_active) VALUES (?, false)', undef, $ws->{id}) },
    );
    for my $why (sort keys %overtake) {
        $t->stop('helper');
        my $count = count();
        my $row = queue($t->contact($ws));
        $overtake{$why}->($row);
        $t->start('helper');
        is(becomes($row, 'failed')->{reply}, $why, $why);
        is(count(), $count, 'no mail');
        $t->db->do('DELETE FROM portal.client_portal_configs');
    }
};

subtest 'an address beyond ASCII' => sub {
    my $row = becomes(queue($t->contact($ws, email => 'jürgen@example.com')), 'failed');
    like($row->{reply}, qr/SMTPUTF8/, 'why');
};

subtest 'line breaks in names and messages' => sub {
    my $count = count();
    $t->db->do('INSERT INTO portal.client_portal_configs (workspace_id, portal_name, welcome_message) VALUES (?, ?, ?)', undef,
        $ws->{id}, "Acme\r\nBcc: x\@example.net", "a\r\n.\r\nb");
    my $contact = $t->contact($ws, name => "Ann\r\nX-Evil: 1\r\n\r\nbody");
    becomes(queue($contact, '--message', "x\r\n.\r\nQUIT\r\nMAIL FROM:<evil\@example.net>"), 'sent');
    my @mails = $t->mails($count + 1);
    is(scalar @mails, $count + 1, 'one mail');
    my $mail = $mails[-1];
    is_deeply($mail->{headers}{'x-rcptto'}, [$contact->{email}], 'one recipient');
    is_deeply([@{ $mail->{headers} }{qw(bcc x-evil)}], [undef, undef], 'no header slipped in');
    is($mail->{subject}, 'Your access to Acme Bcc: x@example.net', 'the subject is one line');
    like($mail->{text}, qr/^\.\r?\nQUIT\r?\nMAIL FROM/m, 'the message is text');
};

subtest 'many at once' => sub {
    my $count = count();
    $t->stop('helper');
    my @rows = map { queue($t->contact($ws)) } 1 .. 20;
    $t->start('helper');
    becomes($_, 'sent', 'sent') for @rows;
    is(scalar(my @mails = $t->mails($count + 20)), $count + 20, 'each once');
    my %seen;
    $seen{ $_->{headers}{'message-id'}[0] }++ for @mails;
    is(scalar(grep { $_ > 1 } values %seen), 0, 'no Message-ID twice');
};

$t->done;
