# contract/customer-portal.md, The page: files with their downloads and payments, found, sorted and paged.
use strict; use warnings; use utf8;
use Test::More;
use BrowserTest;

my $t = BrowserTest->new;
my $workspace = $t->workspace(name => 'Acme Ltd', share_url => 'https://files.example.com/{short_slug}');
my $mike = $t->customer($workspace, email => 'mike@example.com', name => 'Mike Smith');
$t->customer($workspace, email => 'new@example.com', name => 'New Customer');
my @status = qw(active created completed expired destroyed reported);
my @file = map { file($_) } 1 .. 23;
my $longest = file(24, title => 'Averyveryveryveryveryverylongwordwithoutanyblankinitthatdoesnotfit', status => 'active');
$t->insert('file_share_downloads', { workspace_id => $workspace->{id}, session_id => $file[0]{id}, slot_number => $_ })
    for 1 .. 2;
$t->insert('file_share_payments', { workspace_id => $workspace->{id}, session_id => $file[0]{id},
    customer_id => $mike->{id}, status => 'completed', amount_cents => 2500, currency => 'usd',
    buyer_email => 'mike@example.com', buyer_name => 'Mike Smith', platform_fee_cents => 250 });

sub file {
    my ($n, %column) = @_;
    return $t->insert('file_share_sessions', { workspace_id => $workspace->{id}, customer_id => $mike->{id},
        short_slug => "short$n-$$", long_slug => "long$n-$$", title => "File $n", file_name => "file-$n.pdf",
        status => $status[$n % 6], max_downloads => $n % 4 * 5, download_count => $n % 4 ? 1 : 0, price_cents => 100 * $n,
        currency => 'usd', file_size_bytes => 10**($n % 10 + 1), ttl_seconds => 86400,
        expires_at => '2100-01-01T00:00:00Z', created_at => sprintf('2026-01-%02dT12:00:00Z', $n), %column });
}

BrowserTest::drive($t, 'files', { slug => $workspace->{slug}, bought => $file[0]{id} });
$t->done;
