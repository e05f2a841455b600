# A page of the site behind portal_auth: its visitor goes to the sign-in, and from there to where he was going.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new(location => <<'NGINX');
location /account/ { portal_workspace acme; portal_auth customer member; error_page 401 = @sign_in; default_type text/html; }
location @sign_in { return 302 /acme/portal?return_to=$portal_return_to; }
NGINX
mkdir $t->dir . '/html/account';
$t->write_file('html/account/orders', '<!doctype html><html lang="en"><title>Orders</title><link rel="icon" href="data:,"><h1>Your orders</h1>');
my ($acme, $club) = ($t->workspace(slug => 'acme', name => 'Acme Ltd'), $t->workspace(slug => 'club', name => 'Club'));
my $mike = $t->customer($acme, email => 'mike@example.com', name => 'Mike Smith');
$t->customer($_, email => 'both@example.com', name => 'Both') for $acme, $club;
BrowserTest::drive($t, 'return_to', { links => [map { $t->session($mike) } 1 .. 6] });
$t->done;
