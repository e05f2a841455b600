# No window of sixty seconds ever holds more than sixty, wherever it begins.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(location => <<'NGINX');
        location /site/ {
            portal_workspace any;
            portal_auth workspace;
            portal_rate_limit 5 3s name=site;
            alias %%DIR%%/html/;
        }
NGINX
$t->write_file('html/page.txt', "page\n");
my $token = $t->token($t->workspace, 'client_portal:read');

# three windows of hammering: what is admitted is at no time more than five in three seconds
my (@admitted, $refused);
my $end = time + 9.5;
while (time < $end) {
    my $code = $t->get('/site/page.txt', token => $token)->code;
    if ($code == 200) { push @admitted, time }
    else { is($code, 429, 'refused') unless $code == 429; $refused++ }
    sleep 0.05;
}
cmp_ok(scalar @admitted, '>=', 15, 'a hammering client gets what is due: ' . @admitted);
ok($refused, 'and is refused the rest');
my $worst = 0;
for my $i (0 .. $#admitted) {
    my $in = grep { $_ >= $admitted[$i] && $_ < $admitted[$i] + 2.9 } @admitted;
    $worst = $in if $in > $worst;
}
cmp_ok($worst, '<=', 5, "worst window: $worst");
$t->done;
