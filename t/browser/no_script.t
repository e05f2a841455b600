# contract/customer-portal.md, The page: signing in, choosing, opening a link and signing out without JavaScript.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new;
my $workspace = $t->workspace(name => 'Acme Ltd', member_model => 1);
my $mike = $t->customer($workspace, email => 'mike@example.com', name => 'Mike Smith');
for my $account ('First Account', 'Second Account') {
    my $customer = $t->customer($workspace, name => $account, type => 'team');
    $t->member($customer, email => 'two@example.com', name => "Tom of $account");
}
BrowserTest::drive($t, 'no_script', { slug => $workspace->{slug}, link => $t->session($mike),
    another => $t->session($t->customer($workspace)) });
$t->done;
