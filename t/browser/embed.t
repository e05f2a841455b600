# contract/README.md, Cookies: the page in a frame of another site that may embed it, over https.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;
use IO::Socket::INET;

my $port = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1)->sockport;
my $embedder = "https://localhost:$port";    # another site than 127.0.0.1
my $t = BrowserTest->new(nginx => 0, base_url => "https://127.0.0.1:$port",
    http => "portal_frame_ancestors $embedder;", location => 'location /site/ { root %%DIR%%/html; }',
    server => "listen 127.0.0.1:$port ssl; ssl_certificate %%DIR%%/mail.pem; ssl_certificate_key %%DIR%%/mail.key;");
$t->make_certificate;
$t->start('nginx');

my $workspace = $t->workspace(name => 'Acme Ltd');
my $mike = $t->customer($workspace, email => 'mike@example.com', name => 'Mike Smith');
my $made = 0;
my $page = $t->base_url . "/$workspace->{slug}/portal";
mkdir $t->dir . '/html/site';
frame('link', "$page?customer_session_token=" . $t->session($mike));
frame('code', "$page?email=mike%40example.com");
BrowserTest::drive($t, 'embed', { embedder => $embedder }, file => sub { $t->insert('file_share_sessions', {
    workspace_id => $workspace->{id}, customer_id => $mike->{id}, short_slug => 'short-' . ++$made,
    long_slug => "long-$made", title => $_[0] })->{id} });
$t->done;

sub frame {
    my ($name, $address) = @_;
    $t->write_file("html/site/$name.html", <<"HTML");
<!doctype html>
<title>A site</title><link rel="icon" href="data:,">
<iframe width="900" height="700" src="$address"></iframe>
HTML
}
