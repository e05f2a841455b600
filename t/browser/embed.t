# contract/README.md, Cookies: the page in a frame of another site, whose browser keeps no cookies for it.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new;
my $workspace = $t->workspace(name => 'Acme Ltd');
my $mike = $t->customer($workspace, email => 'mike@example.com', name => 'Mike Smith');
my $embedder = 'http://localhost:' . $t->port;    # another site than 127.0.0.1
my $page = $t->base_url . "/$workspace->{slug}/portal";
BrowserTest::shell($t, $workspace);
$t->write_file('html/link.html', qq(<!doctype html><title>Site</title><link rel="icon" href="data:,"><iframe width="900" height="700" src="$page?customer_session_token=)
    . $t->session($mike) . '"></iframe>');
$t->write_file('html/code.html', qq(<!doctype html><title>Site</title><link rel="icon" href="data:,"><iframe width="900" height="700" src="$page?email=mike%40example.com"></iframe>));
BrowserTest::drive($t, 'embed', { embedder => $embedder }, file => sub { $t->insert('file_share_sessions', {
    workspace_id => $workspace->{id}, customer_id => $mike->{id}, short_slug => 'short-1', long_slug => 'long-1',
    title => 'Fresh from the site' })->{id} });
$t->done;
