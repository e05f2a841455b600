# TLS and AUTH towards the mail server: what is insisted on, and that nothing is sent where it fails.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

# A helper and a mail server that insist on these; told what became of one invitation.
sub deliver {
    my ($name, $change, %mail) = @_;
    my $t = PortalTest->new(nginx => 0, redis => 0, helper => 0, mail => \%mail);
    $t->{part} = 1;
    $change->($t) if $change;
    $t->start('helper');
    my $ws = $t->workspace;
    $t->ctl('invite', 'contact', '--workspace', $ws->{slug}, $t->contact($ws)->{id});
    my $row;
    $t->wait_for(sub { $row = $t->row('SELECT * FROM portal.outbox');
        $row->{state} ne 'queued' || ($row->{attempts} && !$row->{lease_owner}) }, 20);
    my @files = $t->mail_files;
    my ($mail) = @files ? $t->mails(1) : ();
    unlike($t->log_text('helper.log'), qr/hunter2|wrong-password/, 'no password in the log');
    $t->done;
    return ($row, $mail);
}
sub rewrite {
    my ($from, $to) = @_;
    return sub { my ($t) = @_; my $toml = slurp($t->dir . '/portal.toml'); $toml =~ s/$from/$to/ or die; $t->write_file('portal.toml', $toml) };
}
my $unknown_ca = rewrite(qr/^ca_file.*\n/m, '');

subtest 'STARTTLS, with a certificate of our own authority' => sub {
    my ($row, $mail) = deliver('starttls', undef, starttls => 1);
    is($row->{state}, 'sent', 'sent');
    is($mail->{headers}{'x-tls'}[0], 'yes', 'encrypted');
};

subtest 'STARTTLS, with an authority nobody told us of' => sub {
    my ($row, $mail) = deliver('starttls', $unknown_ca, starttls => 1);
    is($row->{state}, 'queued', 'put off');
    like($row->{reply}, qr/certificate/i, 'why');
    is($mail, undef, 'nothing sent');
};

subtest 'opportunistic TLS checks certificates too' => sub {
    my ($row, $mail) = deliver('starttls', sub { rewrite(qr/"required"/, '"opportunistic"')->(@_); $unknown_ca->(@_) }, starttls => 1);
    is($row->{state}, 'queued', 'put off');
    is($mail, undef, 'nothing sent');
};

subtest 'STARTTLS required of a server without it' => sub {
    my ($row, $mail) = deliver('plain', rewrite(qr/starttls = "off"/, 'starttls = "required"'));
    is($row->{state}, 'queued', 'put off');
    is($mail, undef, 'nothing sent');
};

subtest 'a certificate of another name' => sub {
    my ($row, $mail) = deliver('name', sub {
        my ($t) = @_;
        my $dir = $t->dir;
        $t->stop('smtp');
        system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other.example "
            . "-addext subjectAltName=DNS:other.example -keyout $dir/mail.key -out $dir/mail.pem 2>/dev/null");
        $t->write_file('ca.pem', slurp("$dir/mail.pem"));
        $t->start('smtp');
    }, starttls => 1);
    is($row->{state}, 'queued', 'put off');
    is($mail, undef, 'nothing sent');
};

subtest 'implicit TLS' => sub {
    my ($row, $mail) = deliver('tls', undef, tls => 1);
    is($row->{state}, 'sent', 'sent');
    is($mail->{headers}{'x-tls'}[0], 'yes', 'encrypted');
};

subtest 'AUTH over STARTTLS' => sub {
    my ($row, $mail) = deliver('auth', undef, starttls => 1, auth => 'portal:hunter2');
    is($row->{state}, 'sent', 'sent');
    is($mail->{headers}{'x-auth'}[0], 'portal', 'as this user');
};

subtest 'AUTH refused: for the operator to mend, not the invitation\'s fault' => sub {
    my ($row, $mail) = deliver('auth', sub { $_[0]->write_file('mail.password', "wrong-password\n"); chmod 0600, $_[0]->dir . '/mail.password' },
        starttls => 1, auth => 'portal:hunter2');
    is($row->{state}, 'queued', 'put off');
    like($row->{reply}, qr/^5\d\d /, 'the server\'s words');
    is($mail, undef, 'nothing sent');
};

subtest 'configurations that are refused' => sub {
    my $t = PortalTest->new(nginx => 0, redis => 0, helper => 0);
    $t->{part} = 1;
    my $good = slurp($t->dir . '/portal.toml');
    my $check = sub {
        my ($from, $to, $complaint) = @_;
        $t->write_file('check.toml', $good =~ s/$from/$to/r);
        my ($code, $out) = $t->run('helper', $t->build . '/portal-helper', '--check', '--config', $t->dir . '/check.toml');
        is($code, $complaint ? 1 : 0, $complaint // 'fine') or diag $out;
        like($out, $complaint // qr/fine/, 'says so');
    };
    $check->(qr/\z/, '');
    $check->(qr{smtp://127\.0\.0\.1:\d+}, 'smtp://192.0.2.1', qr/unencrypted/);
    $check->(qr/from = .*/, 'from = "nobody"', qr/"mail\.from"/);
    $check->(qr/^secret_file = .*/m, 'secret_file = "/nonexistent"', qr{cannot read /nonexistent});
    $check->(qr/^templates = .*/m, 'templates = "/nonexistent"', qr{/nonexistent/invitation\.});
    $check->(qr/^base_url = .*/m, '', qr/"base_url" is missing/);
    $check->(qr/^postgres = .*/m, '', qr/"postgres" is missing/);
    $check->(qr/^\[mail\]/m, "tokn_prefix = \"x\"\n[mail]", qr/check\.toml:\d+: "tokn_prefix" is not known/);
    my $port = $t->free_port;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 8) or die;
    $check->(qr/^postgres = .*/m, qq(postgres = "host=127.0.0.1 port=$port dbname=portal"));
    is_deeply([IO::Select->new($listener)->can_read(0.2)], [], 'PostgreSQL is not asked');
    chmod 0644, $t->dir . '/secret';
    $check->(qr/\z/, '', qr/chmod 0640/);
    my ($code) = $t->run('helper', $t->build . '/portal-helper', '--nonsense');
    is($code, 2, 'a wrong option is 2');
    $t->done;
};

done_testing;
