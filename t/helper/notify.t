# Type=notify: the service manager is told when the helper serves, that it lives, and that it stops.
use strict; use warnings; use utf8;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Test::More;
use PortalTest;

my $t = PortalTest->new(helper => 0, nginx => 0, redis => 0);
my $path = $t->dir . '/notify';
my $manager = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "$path: $!";
chmod 0777, $path;
# what it says within so many seconds, up to a certain word
sub hears {
    my ($word, $seconds) = @_;
    my $said = '';
    my $select = IO::Select->new($manager);
    $t->wait_for(sub {
        if ($select->can_read(0.1)) { $manager->recv(my $message, 4096); $said .= "$message\n" }
        $said =~ /^$word$/m;
    }, $seconds);
    return $said;
}
{
    local $ENV{NOTIFY_SOCKET} = $path;
    local $ENV{WATCHDOG_USEC} = 2_000_000;
    $t->start('helper');
}
like(hears('READY=1', 10), qr/^READY=1$/m, 'it serves');
like(hears('WATCHDOG=1', 5), qr/^WATCHDOG=1$/m, 'it lives');
like(hears('WATCHDOG=1', 5), qr/^WATCHDOG=1$/m, 'and lives on');
$t->stop('helper');
like(hears('STOPPING=1', 5), qr/^STOPPING=1$/m, 'it stops');

$t->done;
