# contract/events.md on the page: rows that appear by themselves in all tabs, over one stream; offline, refused, ended.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new;
my $workspace = $t->workspace(name => 'Acme Ltd', member_model => 1);
my $team = $t->customer($workspace, name => 'Team', type => 'team');
$t->member($team, email => 'owner@example.com', name => 'Olivia Owner');
my $made = 0;

BrowserTest::drive($t, 'live', { slug => $workspace->{slug} },
    file => sub { $t->insert('file_share_sessions', { workspace_id => $workspace->{id}, customer_id => $team->{id},
        short_slug => 'short-' . ++$made, long_slug => "long-$made", title => $_[0], status => 'active',
        max_downloads => 10 })->{id} },
    download => sub { $t->insert('file_share_downloads', { workspace_id => $workspace->{id}, session_id => $_[0],
        slot_number => 1 })->{id} },
    end_all => sub { $t->db->do("UPDATE portal.member_sessions SET revoked_at = now() WHERE revoked_at IS NULL"); 1 });
$t->done;
