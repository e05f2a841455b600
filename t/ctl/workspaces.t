# portalctl workspace create|list|show|set
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my @members = qw(id created_at modified_at slug name avatar_url feature_settings customer_portal_settings mail_from_name
    mail_reply_to return_hosts share_url blocked_at);

sub refused {
    my ($pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($code, undef, $out, $err) = $t->ctl_run(@arguments);
    is($code, 1, "@arguments");
    like($err, $pattern, 'says why');
}

my (undef, undef, $text) = $t->ctl_run(qw(workspace create acme --json), '--name', 'Acme “Ltd”');
my $acme = json_of($text);
is_deeply([keys_of($text)], \@members, 'members, in order');
is($acme->{name}, 'Acme “Ltd”');
like($acme->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/);
is($acme->{modified_at}, undef);
is_deeply($acme->{feature_settings}, { member_model_enabled => false });
is($t->ctl(qw(workspace create club --member-model))->{feature_settings}{member_model_enabled}, true);
is($t->ctl(qw(workspace show club))->{name}, 'club', 'the name is the slug when none is given');

subtest 'slugs' => sub {
    refused(qr/^portalctl: slug: A workspace with this slug already exists\.$/, qw(workspace create acme));
    refused(qr/slug: A slug has lower-case letters/, qw(workspace create), $_) for 'Acme', 'a_b', 'a.b', 'äöü';
    refused(qr/slug: String should have at (least 3|most 63) characters/, qw(workspace create), $_) for 'ab', 'a' x 64;
    refused(qr/slug: This slug is reserved\./, qw(workspace create), $_)
        for qw(api client-portal portal portal-assets dashboard settings login signup oauth2 admin docs download share
        file-sharing metrics health challenge);
    is($t->ctl(qw(workspace create), 'a' x 63)->{slug}, 'a' x 63, 'the longest');
};

subtest 'every problem at once' => sub {
    my (undef, undef, undef, $err) = $t->ctl_run(qw(workspace create API --avatar-url ftp://x), '--name', 'x' x 257);
    like($err, qr/slug: .*\n.*name: String should have at most 256 characters\n.*avatar_url: URL scheme/);
};

subtest 'show' => sub {
    is_deeply($t->ctl(qw(workspace show ACME)), $acme, 'the slug in any case');
    is_deeply($t->ctl(qw(workspace show), $acme->{id}), $acme, 'by id');
    refused(qr/Workspace not found/, qw(workspace show nobody));
    my ($code, undef, $out) = $t->ctl_run(qw(workspace show acme));
    like($out, qr/^slug +acme$/m, 'for people');
};

subtest 'set' => sub {
    my $set = $t->ctl(qw(workspace set acme --name New --avatar-url https://x.example/a.png --mail-from-name),
        'Ann & Co', qw(--mail-reply-to re@EXAMPLE.org --share-url https://x.example/{slug} --return-host A.example
        --return-host b.example:3000 --member-model on));
    is($set->{name}, 'New');
    is($set->{mail_from_name}, 'Ann & Co');
    is($set->{mail_reply_to}, 're@example.org', 'the domain is lower-cased');
    is_deeply($set->{return_hosts}, ['a.example', 'b.example:3000']);
    is($set->{feature_settings}{member_model_enabled}, true);
    ok($set->{modified_at}, 'modified_at');
    my $less = $t->ctl(qw(workspace set acme --avatar-url), '', '--mail-reply-to=', qw(--no-return-hosts --share-url), '');
    is($less->{$_}, undef, "$_ removed") for qw(avatar_url mail_reply_to share_url);
    is_deeply($less->{return_hosts}, []);
    is($less->{name}, 'New', 'what is not named stays');
    is($less->{mail_from_name}, 'Ann & Co');
    ok($t->ctl(qw(workspace set acme --blocked on))->{blocked_at}, 'blocked');
    is($t->ctl(qw(workspace set acme --blocked off))->{blocked_at}, undef, 'not any more');
    refused(qr/mail_from_name: A name in a mail header has no control characters\./, qw(workspace set acme
        --mail-from-name), "Ann\r\nBcc: x\@example.com");
    refused(qr/mail_reply_to: value is not a valid email address/, qw(workspace set acme --mail-reply-to nobody));
    refused(qr/return_hosts: /, qw(workspace set acme --return-host), $_) for 'https://a.example', 'a b', 'a/b';
    refused(qr/name: /, qw(workspace set acme --name), '');
    refused(qr/Workspace not found/, qw(workspace set nobody --name x));
};

subtest 'list' => sub {
    my $list = $t->ctl(qw(workspace list --limit 2 --page 2));
    is_deeply($list->{meta}, { total => 3, page => 2, per_page => 2, pages => 2 });
    is_deeply([map { $_->{slug} } @{ $list->{data} }], ['club'], 'by slug');
    is_deeply($t->ctl(qw(workspace list --page 9))->{meta}, { total => 3, page => 9, per_page => 50, pages => 1 },
        'past the end the total is true');
    my (undef, undef, $table) = $t->ctl_run(qw(workspace list));
    like($table, qr/^SLUG +NAME +ID +CREATED +BLOCKED$/m, 'for people');
};

$t->db->do("UPDATE portal.workspaces SET name = E'a\\x1b[31mb' WHERE slug = 'club'");
unlike(($t->ctl_run(qw(workspace list)))[2], qr/\x1b/, 'no escape sequence reaches the terminal');

$t->done;
