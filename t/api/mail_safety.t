# Names and messages with line breaks and markup: mail stays one mail, HTML stays text.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $evil = qq(Evil" <script>alert(1)</script>);
my $ws = $t->workspace(name => $evil, mail_from_name => 'Größe, "Quoted" <x@y.example>', mail_reply_to => 'reply@example.com');
my ($token, $calls) = (undef, 60);
sub token { ($token, $calls) = ($t->token($ws), 0) if ++$calls > 50; $token }

sub invite {
    my ($contact, $message) = @_;
    my $count = $t->mail_files;
    my $response = $t->post("/api/v1/client-portal/contacts/$contact->{id}/invite", token => token(),
        defined $message ? (json => { custom_message => $message }) : ());
    return ($response, $response->code == 200 ? ($t->mails($count + 1))[-1] : undef);
}
sub is_one_mail {
    my ($mail, $contact) = @_;
    is_deeply($mail->{headers}{'x-rcptto'}, [$contact->{email}], 'one recipient');
    is(scalar @{ $mail->{headers}{$_} // [] }, 1, "one $_") for qw(to from subject message-id date mime-version content-type);
    is($mail->{headers}{$_}, undef, "no $_") for qw(bcc cc x-evil);
    unlike($mail->{head}, qr/[^\x00-\x7f]/, 'headers are ASCII');
    is($mail->{html} =~ /<script/i ? 'script' : '', '', 'no script in the HTML');
    is(scalar grep({ length > 998 } split /\r?\n/, $mail->{raw}), 0, 'no line is too long');
}

subtest 'a plain one' => sub {
    my $contact = $t->contact($ws, name => 'Ann');
    my ($response, $mail) = invite($contact, 'Hello');
    is_status($response, 200);
    is_one_mail($mail, $contact);
    like($mail->{headers}{'content-type'}[0], qr{^multipart/alternative}, 'text and HTML');
    ok(length $mail->{text} && length $mail->{html}, 'both parts');
    like($mail->{headers}{'reply-to'}[0] // '', qr/reply\@example\.com/, 'Reply-To of the workspace');
    like($mail->{from}, qr/Größe/, 'From with the workspace\'s name');
    like($mail->{headers}{from}[0], qr/portal\@example\.com>?$/, 'and our address');
};

subtest 'line breaks and headers in a message' => sub {
    my $contact = $t->contact($ws);
    for my $message ("a\r\nBcc: victim\@example.net\r\n\r\nbody", "a\n.\nMAIL FROM:<evil\@example.net>\n", "\r\n.\r\nQUIT\r\n",
        "--boundary\r\nContent-Type: text/html\r\n\r\n<b>x</b>", '.') {
        my ($response, $mail) = invite($contact, $message);
        is_status($response, 200);
        is_one_mail($mail, $contact);
        my ($line) = grep { length } split /\s*\n/, $message =~ s/\r//gr;
        like($mail->{text}, qr/\Q$line/, 'the text is there');
    }
};

subtest 'markup in a message' => sub {
    my $contact = $t->contact($ws);
    my ($response, $mail) = invite($contact, q(<img src=x onerror=alert(1)> & <a href="javascript:x">{{link}} {{{url}}}</a>));
    is_status($response, 200);
    is_one_mail($mail, $contact);
    unlike($mail->{html}, qr/<img src=x/, 'escaped in HTML');
    like($mail->{html}, qr/&lt;img/, 'and shown');
    like($mail->{text}, qr/<img src=x onerror=alert\(1\)> &/, 'as it is in text');
    like($mail->{text}, qr/\{\{link\}\} \{\{\{url\}\}\}/, 'templates are not applied twice');
};

subtest 'names' => sub {
    for my $name (qq(Ann\r\nBcc: victim\@example.net), qq("Ann" <other\@example.net>), 'Ünïcödé ' . 'ä' x 200, q(<b>Bold</b> & "Co"),
        'a' x 250, '=?utf-8?q?x?=', q(Ann, Bob), "tab\there") {
        my $contact = $t->contact($ws, name => $name);
        my ($response, $mail) = invite($contact);
        is_status($response, 200);
        is_one_mail($mail, $contact);
        unlike($mail->{html}, qr/<b>Bold/, 'escaped');
        like($mail->{headers}{to}[0], qr/\Q$contact->{email}\E>?$/, 'To ends in the address');
    }
};

subtest 'the workspace\'s name' => sub {
    my $contact = $t->contact($ws);
    my (undef, $mail) = invite($contact);
    is_one_mail($mail, $contact);
    is($mail->{headers}{$_}[0] =~ /<script/ ? 'markup' : '', '', "none in $_") for qw(subject from to);
};

subtest 'addresses' => sub {
    $t->db->do('SET log_min_messages = panic');    # PostgreSQL would tell the refused rows in its log
    for my $email ("ann\@example.com\r\nBcc: x\@example.net", 'ann@example.com, x@example.net', '<ann@example.com>', "a\0\@example.com") {
        ok(!eval { $t->contact($ws, email => $email); 1 }, 'the schema refuses ' . $email =~ s/[^ -~]/?/gr);
    }
};

subtest 'colours and texts of the configuration' => sub {
    is_status($t->patch('/api/v1/client-portal/config', token => token(), json => { portal_name => '</title><script>x</script>',
        welcome_message => "<script>y</script>\r\nBcc: z" }), 200);
    my $contact = $t->contact($ws);
    my ($response, $mail) = invite($contact);
    is_status($response, 200);
    is_one_mail($mail, $contact);
};

$t->done;
