# portalctl contact and company: create, list, show
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my @in = ('-w', $ws->{slug});
my $customer = $t->customer($ws);
my $foreign = $t->customer($other);

sub refused {
    my ($pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($code, undef, $out, $err) = $t->ctl_run(@arguments);
    is($code, 1, "@arguments");
    like($err, $pattern, 'says why');
}

my $globex = $t->ctl(qw(company create), @in, qw(--name Globex --email office@globex.example --external-id g));
is($globex->{id}, 1, 'numbered from 1');
is($t->ctl(qw(company create -w), $other->{slug}, qw(--name Other))->{id}, 1, 'in each workspace');

my (undef, undef, $text) = $t->ctl_run(qw(contact create), @in, qw(--name Ann --email Ann@Globex.example --company-id 1
    --external-id a --json --customer-id), $customer->{id});
my $ann = json_of($text);
is_deeply([keys_of($text)], [qw(id created_at modified_at workspace_id name email company_id customer_id external_id)]);
is_deeply([@$ann{qw(id name email company_id customer_id)}], [1, 'Ann', 'Ann@globex.example', 1, $customer->{id}]);

for my $noun (qw(company contact)) {
    subtest $noun => sub {
        is($t->ctl($noun, 'create', @in, qw(--name Kept --id 9000))->{id}, 9000, 'a given id is kept');
        is($t->ctl($noun, 'create', @in, qw(--name Next))->{id}, 9001, 'and counted from');
        is($t->ctl($noun, 'create', @in, qw(--name Last --id 9223372036854775807))->{id}, 9223372036854775807);
        is($t->ctl($noun, 'create', @in, qw(--name After))->{id}, 9002, 'the last of all uses up none');
        refused(qr/id: A $noun with this id already exists\./, $noun, 'create', @in, qw(--name Again --id 9000));
        refused(qr/id: Input should be greater than/, $noun, 'create', @in, '--name', 'x', '--id', $_) for 0, -1;
        is(($t->ctl_run($noun, 'create', @in, qw(--name x --id 9223372036854775808)))[0], 2, 'past 64 bits');
        refused(qr/name: /, $noun, 'create', @in, '--name', $_) for '', 'x' x 257;
        refused(qr/email: value is not a valid email address/, $noun, 'create', @in, qw(--name x --email nobody));
        refused(qr/customer_id: Customer does not exist\./, $noun, 'create', @in, qw(--name x --customer-id), $foreign->{id});
        refused(qr/customer_id: Input should be a valid UUID/, $noun, 'create', @in, qw(--name x --customer-id nonsense));
        refused(qr/^portalctl: Not found$/, $noun, 'show', 77, @in);
        refused(qr/^portalctl: Not found$/, $noun, 'show', 9000, '-w', $other->{slug});
        is($t->ctl($noun, 'show', 9000, @in)->{name}, 'Kept');
        is($t->ctl($noun, 'list', @in, qw(--query KEP))->{meta}{total}, 1, 'part of a name');
        is($t->ctl($noun, 'list', @in)->{data}[0]{id}, 1, 'by id');
    };
}

subtest 'the same external id changes what is there' => sub {
    my $changed = $t->ctl(qw(contact create), @in, qw(--name Anna --external-id a));
    is($changed->{id}, 1);
    is($changed->{name}, 'Anna');
    is($changed->{email}, 'Ann@globex.example', 'what is not named stays');
    ok($changed->{modified_at});
    $t->db->do('UPDATE portal.contacts SET deleted_at = now() WHERE id = 1 AND workspace_id = ?', undef, $ws->{id});
    isnt($t->ctl(qw(contact create), @in, qw(--name Anna --external-id a))->{id}, 1, 'a deleted one stays deleted');
};

my (undef, undef, undef, $err) = $t->ctl_run(qw(contact create), @in, qw(--name x --company-id 77 --customer-id), $foreign->{id});
like($err, qr/company_id: Company does not exist\.\n.*customer_id: Customer does not exist\./, 'both problems');

subtest 'a database that is slow for now is waited for' => sub {
    my $created = $t->apart(sub { $t->ctl(qw(contact create), @in, qw(--name Patient)) });
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.contacts IN EXCLUSIVE MODE');
    sleep 2;
    $t->db->commit;
    is($created->()->{name}, 'Patient');
};

$t->done;
