# contract/customer-portal.md, The page: below a path prefix, for those who do not know their workspace, in the browser's
# language, and back to where one came from.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;
use PortalTest;

my $t = BrowserTest->new(nginx => 0);
$t->{option}{base_url} = $t->base_url . '/shop';
$t->{option}{location} = 'location /shop/ { portal_page; portal_api; portal_workspace any; }';
$t->start('nginx');

my ($acme, $hooli) = map { $t->workspace(name => $_) } 'Acme Ltd', 'Hooli Inc';
my ($mike) = map { $t->customer($_, email => 'mike@example.com', name => 'Mike Smith') } $acme, $hooli;
my $link = json_of($t->post('/api/customer-sessions/', token => $t->token($acme),
    json => { customer_id => $mike->{id}, return_url => 'https://shop.example.com/cart' }));
BrowserTest::drive($t, 'places', { slug => $acme->{slug}, other => $hooli->{slug}, link => $link->{customer_portal_url} },
    hosts => sub { $t->ctl('workspace', 'set', $acme->{slug}, '--return-host', 'shop.example.com')->{slug} });
$t->done;
