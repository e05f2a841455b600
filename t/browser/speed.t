# The page is there at once: its largest part is painted within half a second on a machine four times slower.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new;
my $workspace = $t->workspace(name => 'Acme Ltd');
my $mike = $t->customer($workspace, email => 'mike@example.com', name => 'Mike Smith');
$t->insert('file_share_sessions', { workspace_id => $workspace->{id}, customer_id => $mike->{id}, title => "File $_",
    short_slug => "short-$_", long_slug => "long-$_", status => 'active', file_size_bytes => 1000 * $_ }) for 1 .. 10;
BrowserTest::drive($t, 'speed', { slug => $workspace->{slug}, link => $t->session($mike) });
$t->done;
