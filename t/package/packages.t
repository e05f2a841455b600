# What the Debian packages are made of is there, and the helper's unit is confined.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0, helper => 0, redis => 0);
my $root = PortalTest::root();

subtest 'the unit of the helper' => sub {
    my ($code, $output) = $t->run('systemd', qw(systemd-analyze security --offline=yes --threshold=20 --no-pager),
        "$root/conf/systemd/portal-helper.service");
    is($code, 0, 'its exposure is 2.0 at most') or diag $output;
};

subtest 'the source package' => sub {
    my ($needed) = slurp("$root/debian/control") =~ /^Build-Depends:\n((?:[ #].*\n|Build-Depends-Indep:\n)+)/m;
    my %listed = map { $_ => 1 } map { split } slurp("$root/conf/packages") =~ /(?:^| )(?:build|page|packaging)\+?=\((.*?)\)$/msg;
    ok($listed{$_} || /^dh-sequence-|^debhelper-compat/, "$_ is in conf/packages") for $needed =~ /^ ([\w.+-]+)/mg;
    for my $file (glob "$root/debian/*.install $root/debian/*.examples $root/debian/*.docs") {
        my @sources = map { (split)[0] } split /\n/, slurp($file);
        ok(/^usr/ || (() = glob "$root/$_"), "$_ is there") for @sources;
    }
    for my $script (glob "$root/debian/*.postinst") {
        my ($code, $output) = $t->run('sh', 'sh', '-n', $script);
        is($code . $output, '0', $script =~ s{.*/}{}r . ' is well-formed');
    }
};

$t->done;
