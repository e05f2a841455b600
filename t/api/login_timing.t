# Nothing is to be learned from the clock: a request for a code takes as long for an address that nobody has.
# Runs alone: beside other tests it would measure them.
use strict; use warnings; use utf8;
use List::Util qw(shuffle);
use Test::More;
use Time::HiRes qw(time);
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace(slug => 'acme');
my ($calls, $rounds) = ($ENV{PORTAL_LONG} ? 2000 : 300, 3);
$t->db->do(q(INSERT INTO portal.customers (workspace_id, email, name) SELECT ?, 'known' || n || '@example.com', 'N' FROM generate_series(1, ?) n),
    undef, $ws->{id}, $calls * $rounds);
$t->db->do('ANALYZE portal.customers');

# seconds of every call so far; each is from an address and for an e-mail address of its own
my %took = (known => [], unknown => []);

sub call {
    my ($socket, $kind) = @_;
    my $n = @{ $took{known} } + @{ $took{unknown} };
    my $bytes = $t->bytes(POST => '/api/customer-portal/customer-session/request',
        json => { email => $kind . (1 + @{ $took{$kind} }) . '@example.com', workspace_id => $ws->{id} },
        headers => { 'X-Real-IP' => sprintf '10.%d.%d.%d', 20 + $n / 62500, ($n / 250) % 250, 1 + $n % 250 });
    $bytes =~ s/Connection: close\r\n//;
    my $start = time;
    my $answer = $t->ask($socket, $bytes);
    push @{ $took{$kind} }, time - $start;
    return ($answer // {})->{status};
}

sub median { my @sorted = sort { $a <=> $b } @{ $_[0] }; $sorted[@sorted / 2] }

# interleaved in random order; where something else slows the machine down, more calls even it out
my ($apart, %status) = 1;
for my $round (1 .. $rounds) {
    my $socket;
    for my $kind (shuffle((qw(known unknown)) x $calls)) {
        $socket = $t->connect if @{ $took{known} } % 400 == 0;    # keepalive_requests
        $status{ call($socket, $kind) // 'none' }++;
    }
    $apart = abs(median($took{known}) / median($took{unknown}) - 1);
    last if $apart <= 0.05;
}
is_deeply([keys %status], [202], 'always the same answer');
cmp_ok($apart, '<=', 0.05, 'medians within 5 %');
diag sprintf 'medians of %d calls: known %.3f ms, unknown %.3f ms', scalar @{ $took{known} }, map { 1000 * median($_) } @took{qw(known unknown)};

$t->done;
