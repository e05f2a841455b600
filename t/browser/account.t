# contract/customer-portal.md, The page: billing details, team and sessions.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new;
my $workspace = $t->workspace(name => 'Hooli Inc', member_model => 1);
my $team = $t->customer($workspace, name => 'Pied Piper', type => 'team', email => 'billing@example.com');
my $owner = $t->member($team, email => 'richard@example.com', name => 'Richard Hendricks');
$t->member($team, email => 'jared@example.com', name => 'Jared Dunn', role => 'billing_manager');
$t->member($team, email => 'dinesh@example.com', name => 'Dinesh Chugtai', role => 'member');
my $alone = $t->customer($workspace, name => 'Erlich Bachman', email => 'erlich@example.com');

BrowserTest::drive($t, 'account', { slug => $workspace->{slug},
    links => { owner => $t->session($owner), alone => $t->session($alone) } },
    customer => sub { $t->row('SELECT billing_name, billing_address::text FROM portal.customers WHERE id = ?', $team->{id}) },
    mails => sub { my ($to, $n) = @_; $t->wait_for(sub { $n <= grep { lc $_->{headers}{'x-rcptto'}[0] eq $to } $t->mails(1) }) ? 1 : 0 });
$t->done;
