# contract/client-portal.md: what a contact sees behind its link, in its tenant's colours, until the link ends.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;
use PortalTest;

my $t = BrowserTest->new(http => 'portal_logo_root %%DIR%%/logos;');
mkdir $t->dir . '/logos';
$t->write_file('logos/acme.svg', '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" fill="#063"/>'
    . '<path d="M8 32 20 8l12 24z" fill="#fd0"/></svg>');
my $workspace = $t->workspace(name => 'Acme Ltd');
my $token = $t->token($workspace);
my $customer = $t->customer($workspace, name => 'Globex');
my ($hank, $other) = map { $t->contact($workspace, name => $_, email => lc s/ .*/\@example.org/r, customer_id => $customer->{id}) }
    'Hank Scorpio', 'Milton Waddams';
my $made = 0;

sub item {
    my ($module, $title, %column) = @_;
    return $t->insert('portal_items', { workspace_id => $workspace->{id}, contact_id => $hank->{id}, module => $module,
        external_id => 'INV-' . ++$made, title => $title, status => 'open', %column })->{id};
}
sub config {
    my (%member) = @_;
    $member{show_activity_feed} = false if exists $member{show_activity_feed};
    return $t->patch('/api/v1/client-portal/config', token => $token, json => \%member)->code;
}
sub link_of {
    my ($id) = @_;
    my $answer = $t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => 0 + $id });
    return json_of($answer)->{url};
}

item(invoices => 'Website relaunch', amount_cents => 480_000, currency => 'usd', due_at => '2026-01-20T00:00:00Z',
    url => 'https://pay.example.com/1');
item(invoices => 'Hosting', amount_cents => 12_000, currency => 'eur', status => 'paid');
$t->insert('file_share_sessions', { workspace_id => $workspace->{id}, customer_id => $customer->{id},
    short_slug => 'short-1', long_slug => 'long-1', title => 'Brand guidelines', status => 'active', max_downloads => 3 });
config(portal_name => 'Acme Client Portal', portal_logo => 'acme.svg', primary_color => '#FFEE00', secondary_color => '#00FF66',
    welcome_message => 'Good to see you!', enabled_modules => [qw(invoices tasks)]);

BrowserTest::drive($t, 'client_portal', { link => link_of($hank->{id}), other => link_of($other->{id}),
    customer => $t->base_url . "/$workspace->{slug}/portal?customer_session_token=" . $t->session($customer),
    unknown => $t->base_url . '/client-portal/portal_cpt_' . 'A' x 48 },
    item => \&item, config => \&config,
    require_code => sub { $t->ctl('workspace', 'set', $workspace->{slug}, '--require-code', 'on')->{slug} },
    revoke => sub { $t->delete('/api/v1/client-portal/token', token => $token,
        json => { type => 'contact', id => 0 + $hank->{id} })->code });
is($t->value('SELECT access_count FROM portal.client_portal_tokens WHERE contact_id = ? AND parent_id IS NULL', $hank->{id}), 1,
    'an hour of looking counts once');
$t->done;
