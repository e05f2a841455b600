# contract/customer-portal.md, The page: signing in by a mailed code, from the address to the way out.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new;
my $workspace = $t->workspace(name => 'Acme Ltd', member_model => 1);
$t->customer($workspace, email => 'mike@example.com', name => 'Mike Smith');
$t->customer($workspace, email => 'again@example.com', name => 'Again');
for my $account ('First Account', 'Second Account') {
    my $customer = $t->customer($workspace, name => $account, type => 'team');
    $t->member($customer, email => 'two@example.com', name => "Tom of $account");
}
BrowserTest::drive($t, 'sign_in', { slug => $workspace->{slug} });
$t->done;
