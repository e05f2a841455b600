# portalctl customer and member: create, list, show
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my $club = $t->workspace(member_model => 1);
my @in = ('-w', $ws->{slug});
my @club = ('-w', $club->{slug});

sub refused {
    my ($pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($code, undef, $out, $err) = $t->ctl_run(@arguments);
    is($code, 1, "@arguments");
    like($err, $pattern, 'says why');
}

subtest 'a customer' => sub {
    my (undef, undef, $text) = $t->ctl_run(qw(customer create), @in, qw(--email Mike@EXAMPLE.com --external-id cus_1
        --name Mike --metadata plan=pro --metadata seats=3 --json), '--billing-address', '{"country":"us","state":"ny"}');
    my $made = json_of($text);
    is_deeply([keys_of($text)], [qw(id created_at modified_at metadata external_id email email_verified name
        billing_address workspace_id deleted_at avatar_url type members)]);
    is($made->{email}, 'Mike@example.com', 'the domain is lower-cased, the local part kept');
    is($made->{avatar_url}, 'https://www.gravatar.com/avatar/' . Digest::SHA::sha256_hex('mike@example.com') . '?d=404');
    is_deeply($made->{metadata}, { plan => 'pro', seats => '3' });
    is_deeply($made->{billing_address}, { country => 'US', line1 => undef, line2 => undef, postal_code => undef,
        city => undef, state => 'US-NY' });
    is($made->{type}, 'individual');
    is_deeply($made->{members}, [], 'no member without the member model');
    for my $name ('cus_1', $made->{id}, uc $made->{id}, 'MIKE@example.com') {
        is($t->ctl(qw(customer show), $name, @in)->{id}, $made->{id}, "show $name");
    }
    refused(qr/Not found/, qw(customer show cus_1 -w), $other->{slug});
};

subtest 'refused' => sub {
    refused(qr/^portalctl: email: A customer with this email address already exists\.$/,
        qw(customer create), @in, qw(--email mike@example.COM));
    refused(qr/^portalctl: external_id: A customer with this external ID already exists\.$/,
        qw(customer create), @in, qw(--email other@example.com --external-id cus_1));
    my (undef, undef, undef, $both) = $t->ctl_run(qw(customer create), @in, qw(--email MIKE@example.com --external-id cus_1));
    is(scalar(() = $both =~ /already exists/g), 2, 'both at once');
    $t->ctl(qw(customer create -w), $other->{slug}, qw(--email mike@example.com --external-id cus_1));
    $t->ctl(qw(customer create), @in, '--email', "mi\x{212A}e\@example.com");
    pass('a look-alike letter is another address');
    refused(qr/email: value is not a valid email address: /, qw(customer create), @in, '--email', $_)
        for 'mike', '@example.com', 'mike@', 'mike@localhost', 'a b@example.com', "a\nb\@example.com", 'a@b@example.com',
        '.a@example.com', 'a..b@example.com', 'a@-b.example.com', 'a@example..com', 'a@example.com.', ('x' x 65) . '@example.com';
    refused(qr/name: String should have at most 256/, qw(customer create), @in, qw(--email n@example.com --name), 'x' x 257);
    refused(qr/type: Input should be 'individual' or 'team'/, qw(customer create), @in, qw(--email n@example.com --type x));
    refused(qr/metadata: /, qw(customer create), @in, qw(--email n@example.com), map { ('--metadata', "k$_=v") } 1 .. 51);
    refused(qr/billing_address\.country: /, qw(customer create), @in, '--email', 'n@example.com', '--billing-address', $_)
        for '{}', '{"country":"XX"}', '{"country":"USA"}', '{"country":7}';
    refused(qr/billing_address\.state: Invalid US state/, qw(customer create), @in, '--email', 'n@example.com',
        '--billing-address', '{"country":"US","state":"XX"}');
    refused(qr/billing_address\.state: Invalid CA province/, qw(customer create), @in, '--email', 'n@example.com',
        '--billing-address', '{"country":"CA"}');
    is($t->value("SELECT count(*) FROM portal.customers WHERE email = 'n\@example.com'"), 0, 'nothing was written');
    my (undef, undef, undef, $err) = $t->ctl_run(qw(customer create), @in, qw(--email x --type x --owner-email x));
    is(scalar(() = $err =~ /^portalctl: /mg), 3, 'every problem at once');
};

subtest 'the owner is made with it' => sub {
    my $one = $t->ctl(qw(customer create), @club, qw(--email ann@example.com --name Ann));
    is_deeply([map { "$_->{role} $_->{email} $_->{name}" } @{ $one->{members} }], ['owner ann@example.com Ann']);
    my $team = $t->ctl(qw(customer create), @club, qw(--email team@example.com --type team --external-id team
        --owner-email boss@example.com --owner-name Boss --owner-external-id m1));
    is_deeply([map { "$_->{role} $_->{email} $_->{external_id}" } @{ $team->{members} }], ['owner boss@example.com m1']);
};

subtest 'members' => sub {
    my (undef, undef, $text) = $t->ctl_run(qw(member create), @club, qw(--customer team --email Bob@example.com --name Bob
        --external-id m2 --json));
    my $bob = json_of($text);
    is_deeply([keys_of($text)], [qw(id created_at modified_at workspace_id customer_id external_id email name role)]);
    is($bob->{role}, 'member');
    is($t->ctl(qw(member create), @club, qw(--customer team@example.com --email c@example.com --role billing_manager))->{role},
        'billing_manager', 'the customer by its address');
    is_deeply($t->ctl(qw(member show), $bob->{id}, @club), $bob);
    refused(qr/Member not found/, qw(member show), $bob->{id}, @in);
    refused(qr/^portalctl: email: A member with this email address already exists\.$/, qw(member create), @club,
        qw(--customer team --email BOB@example.com));
    refused(qr/external_id: A member with this external ID already exists\./, qw(member create), @club,
        qw(--customer team --email d@example.com --external-id m2));
    refused(qr/role: Cannot add a member as owner\. There must be exactly one owner\./, qw(member create), @club,
        qw(--customer team --email d@example.com --role owner));
    refused(qr/An individual customer has one member\./, qw(member create), @club,
        qw(--customer ann@example.com --email d@example.com));
    refused(qr/Customer not found/, qw(member create), @club, qw(--customer nobody --email d@example.com));
    refused(qr/Member management is not enabled for this workspace/, qw(member create), @in,
        qw(--customer cus_1 --email d@example.com));
    $t->customer($club, email => 'bare@example.com', type => 'team');
    refused(qr/role: Customer must have exactly one owner\./, qw(member create), @club,
        qw(--customer bare@example.com --email d@example.com --role member));
    is($t->ctl(qw(member create), @club, qw(--customer bare@example.com --email d@example.com))->{role}, 'owner',
        'the first is the owner');
    is($t->ctl(qw(member list), @club)->{meta}{total}, 5);
    is_deeply([map { $_->{email} } @{ $t->ctl(qw(member list --customer team), @club)->{data} }],
        [qw(boss@example.com Bob@example.com c@example.com)], 'oldest first');
};

subtest 'many at once' => sub {
    my @arguments = (PortalTest::build() . '/portalctl', '--config', $t->dir . '/portal.toml', qw(customer create), @club,
        qw(--email same@example.com));
    my @pids = map { my $pid = fork; $pid || do {
        open STDOUT, '>>', $t->dir . '/race.log';
        open STDERR, '>&', \*STDOUT;
        exec @arguments or POSIX::_exit(127);
    } } 1 .. 8;
    my @codes = sort map { waitpid $_, 0; $? >> 8 } @pids;
    is("@codes", '0 1 1 1 1 1 1 1', 'one is made') or diag PortalTest::slurp($t->dir . '/race.log');
    is($t->value("SELECT count(*) FROM portal.members WHERE email = 'same\@example.com'"), 1, 'with its one owner');
};

subtest 'list' => sub {
    my $ws = $t->workspace;
    my @in = ('-w', $ws->{slug});
    $t->customer($ws, email => "$_->[0]\@example.com", name => $_->[1], created_at => "2026-01-0$_->[2]T00:00:00Z",
        metadata => $_->[3]) for ['b', 'Zoe', 1, '{"plan":"pro"}'], ['a', 'Ann', 2, '{"plan":"free"}'], ['c', undef, 3, '{"plan":"pro","n":1}'];
    my $order = sub { join '', map { substr $_->{email}, 0, 1 } @{ $t->ctl(qw(customer list), @in, @_)->{data} } };
    is($order->(), 'cab', 'newest first');
    is($order->(qw(--sort created_at)), 'bac');
    is($order->(qw(--sort email)), 'abc');
    is($order->(qw(--sort -email)), 'cba');
    is($order->(qw(--sort name)), 'abc', 'no name comes last');
    is($order->(qw(--sort -name)), 'bac', 'whichever way');
    is($order->(qw(--email A@example.com)), 'a');
    is($order->(qw(--query ZO)), 'b', 'part of a name');
    is($order->(qw(--query %)), '', 'not a pattern');
    is($order->(qw(--metadata plan=pro)), 'cb');
    is($order->(qw(--metadata plan=pro --metadata n=1)), 'c');
    is($order->(qw(--limit 2 --page 2)), 'b');
    is($t->ctl(qw(customer list), @in, qw(--limit 2 --page 2))->{data}[0]{created_at}, '2026-01-01T00:00:00Z');
    is(($t->ctl_run(qw(customer list), @in, qw(--sort nonsense)))[0], 2);
    $t->db->do('UPDATE portal.customers SET deleted_at = now() WHERE workspace_id = ?', undef, $ws->{id});
    is($order->(), '', 'deleted ones are not there');
};

$t->done;
