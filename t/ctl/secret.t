# portalctl secret new: mode 0640, never over an existing file.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my $file = $t->dir . '/fresh';

my ($code, $both) = $t->ctl_run('secret', 'new', $file);
is($code, 0) or diag $both;
is(sprintf('%04o', (stat $file)[2] & 07777), '0640', 'mode');
my $text = PortalTest::slurp($file);
like($text, qr/^\S+ sign \S+$/m, 'a key that signs');
like($text, qr/^\S+ limiter \S+$/m, 'a limiter key');
unlike($both, qr/\Q$_\E/, 'shows no key') for $text =~ /(\S{20,})$/mg;

($code, $both) = $t->ctl_run('secret', 'new', $file);
is($code, 1, 'again');
like($both, qr/exists and is left as it is/);
is(PortalTest::slurp($file), $text, 'unchanged');

symlink '/nonexistent/target', $t->dir . '/link';
($code) = $t->ctl_run('secret', 'new', $t->dir . '/link');
is($code, 1, 'through a link');

($code, $both) = $t->ctl_run('secret', 'new', '/nonexistent/secret');
is($code, 1, 'no such directory');
like($both, qr/cannot create/);

($code, $both) = $t->ctl_run('secret', 'new');
is($code, 1, 'the default is the configuration\'s, which exists');
like($both, qr{\Q@{[$t->dir]}\E/secret exists});

$t->ctl('secret', 'new', $t->dir . '/another');
isnt(PortalTest::slurp($t->dir . '/another'), $text, 'no two are alike');

$t->done;
