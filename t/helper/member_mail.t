# The invitation of a team's new member: what the mail says, and when it is not sent any more.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace(slug => 'club', name => 'Größe & Co', member_model => 1, mail_reply_to => 'reply@example.com');
my $team = $t->customer($ws, type => 'team', name => "Team <b>X</b>\r\nBcc: eve\@example.com");
our $session = $t->session($t->member($team));

# adds a member and gives their outbox row
sub add {
    my (%who) = @_;
    my $response = $t->post('/api/customer-portal/members', token => $session, json => \%who);
    is_status($response, 201);
    return $t->row('SELECT * FROM portal.outbox WHERE member_id = ?', json_of($response)->{id});
}
sub becomes {
    my ($row, $state) = @_;
    my $now;
    ok($t->wait_for(sub { $now = $t->row('SELECT * FROM portal.outbox WHERE id = ?', $row->{id}); $now->{state} eq $state }, 10),
        "becomes $state") or diag explain $now;
    return $now;
}

subtest 'the mail' => sub {
    my $row = becomes(add(email => 'zoë+a.ngström@example.com', name => 'Zoë'), 'failed');
    like($row->{reply}, qr/SMTPUTF8/, 'an address beyond ASCII cannot be mailed');
    my $mails = () = $t->mail_files;
    $row = becomes(add(email => 'zoe+a@example.com', name => 'Zoë "Z" <i>'), 'sent');
    my $mail = ($t->mails($mails + 1))[-1];
    like($mail->{to}, qr/<zoe\+a\@example\.com>$/, 'To');
    is($mail->{from}, 'Größe & Co <portal@example.com>', 'From');
    is($mail->{'reply-to'}, '<reply@example.com>', 'Reply-To');
    is($mail->{subject}, 'You are on the team of Team <b>X</b> Bcc: eve@example.com at Größe & Co', 'subject');
    is(scalar(grep { /^bcc$/i } keys %{ $mail->{headers} }), 0, 'no header of the customer\'s making');
    my $link = $t->base_url . '/club/portal?email=zoe%2Ba%40example.com';
    like($mail->{text}, qr/^\Q$link\E\r?$/m, 'the link in the text');
    like($mail->{text}, qr/^Hello Zoë "Z" <i>,\r?$/m, 'the name');
    like($mail->{html}, qr/href="\Q$link\E"/, 'the link in the HTML') or diag $mail->{html};
    like($mail->{html}, qr/Team &lt;b&gt;X&lt;\/b&gt;/, 'markup is text');
    unlike($mail->{raw}, qr/portal_[a-z]{3}_/, 'no token');
    is($mail->{headers}{'message-id'}[0], "<$row->{message_id}\@127.0.0.1>", 'Message-ID');
    is($row->{attempts}, 1, 'one attempt');
    is($t->value(q(SELECT count(*) FROM portal.events WHERE type LIKE 'client_portal.%')), 0, 'no event of the client portal');
};

subtest 'without names' => sub {
    my $nameless = $t->customer($ws, type => 'team', name => undef);
    local $session = $t->session($t->member($nameless));
    my $mails = () = $t->mail_files;
    becomes(add(email => 'plain@example.com'), 'sent');
    my $mail = ($t->mails($mails + 1))[-1];
    is($mail->{subject}, 'You are on a team at Größe & Co', 'subject');
    like($mail->{text}, qr/^Hello,\r?\n\r?\nyou have been added to a team in the customer portal of Größe & Co\.\r?$/m, 'text');
    like($mail->{to}, qr/^<?plain\@example\.com>?$/, 'To');
};

subtest 'overtaken' => sub {
    $t->mail_mode('tempfail');
    my %undo = (
        'the member was removed' => ['UPDATE portal.members SET deleted_at = now() WHERE id = ?', 'member_id'],
        'the customer is blocked or deleted' => ['UPDATE portal.customers SET blocked_at = now() WHERE id = ?'],
        'the workspace has no members any more' => [q(UPDATE portal.workspaces SET feature_settings = '{}' WHERE id = ?), 'workspace_id'],
    );
    for my $reason ('the member was removed', 'the workspace has no members any more', 'the customer is blocked or deleted') {
        my ($sql, $column) = @{ $undo{$reason} };
        my $row = add(email => 'late' . length($reason) . '@example.com');
        ok($t->wait_for(sub { $t->value('SELECT attempts FROM portal.outbox WHERE id = ? AND lease_owner IS NULL', $row->{id}) }, 10),
            'put off');
        $t->db->do($sql, undef, $column ? $row->{$column} : $team->{id});
        my ($code, $output) = $t->ctl_run(qw(mail queue -w club));
        like($output, qr/member_invitation\s+member $row->{member_id}/, 'the queue shows whom by id');
        unlike($output, qr/\@example/, 'never by address');
        $t->db->do('UPDATE portal.outbox SET next_attempt_at = now() WHERE id = ?', undef, $row->{id});
        is(becomes($row, 'failed')->{reply}, $reason, $reason);
        $t->db->do(q(UPDATE portal.workspaces SET feature_settings = '{"member_model_enabled": true}' WHERE id = ?), undef, $ws->{id});
    }
    $t->mail_mode('accept');
};

subtest 'waits for a helper' => sub {
    my $waiting = $t->customer($ws, type => 'team');
    local $session = $t->session($t->member($waiting));
    $t->stop('helper');
    my $row = add(email => 'waits@example.com');
    is($row->{state}, 'queued', 'queued');
    $t->start('helper');
    becomes($row, 'sent');
};

$t->done;
