# portal_logo_root: a tenant's logo that is a path below it.
use strict; use warnings; use utf8;
use Encode qw(decode);
use JSON::XS;
use POSIX qw(mkfifo);
use Test::More;
use PortalTest;

my $page = PortalTest::build() . '/page';
system('bash', PortalTest::root() . '/src/web/build', $page) == 0 or BAIL_OUT('src/web/build failed');
my $t = PortalTest->new(helper => 0, nginx => 0, http => "portal_page_files $page; portal_logo_root %%DIR%%/logos;",
    location => 'location / { portal_page; portal_workspace any; }');
mkdir "$t->{dir}/$_" for 'logos', 'logos/acme';
my $svg = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40"/></svg>';
$t->write_file('logos/acme/our logo+1.svg', $svg);
$t->write_file('logos/acme/secret.txt', 'secret');
$t->write_file('logos/large.png', 'x' x (1024 * 1024 + 1));
$t->write_file('outside.png', 'outside');
mkfifo("$t->{dir}/logos/pipe.png", 0644);
$t->start('nginx');
my $acme = $t->workspace(slug => 'acme', name => 'Acme');
my $token = $t->token($acme);
my $contact = $t->contact($acme);
my $link = json_of($t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => $contact->{id} }))->{token};
my $base = '';

sub shown {
    my ($logo) = @_;
    is_status($t->patch('/api/v1/client-portal/config', token => $token, json => { portal_logo => $logo }), 200) if @_;
    my $html = decode('UTF-8', $t->get("$base/client-portal/$link")->content);
    my ($data) = $html =~ m{<script type="application/json" id="portal-data">(.*?)</script>}s;
    my ($picture) = $html =~ m{<img class="avatar" src="([^"]+)"};
    my $told = JSON::XS->new->decode($data)->{branding}{portal_logo};
    is($told, $picture, 'the script shows what the page shows without it');
    return $told;
}

is(shown('acme/our logo+1.svg'), '/portal-assets/logos/acme/our%20logo%2B1.svg', 'its address');
my $answer = $t->get('/portal-assets/logos/acme/our%20logo%2B1.svg');
is($answer->code, 200, 'served');
is($answer->content, $svg, 'as it is');
is($answer->header($_->[0]), $_->[1], $_->[0]) for ['Content-Type', 'image/svg+xml'], ['Cache-Control', 'public, max-age=3600'],
    ['X-Content-Type-Options', 'nosniff'], ['Content-Security-Policy', "default-src 'none'; sandbox"];
is($t->request(HEAD => '/portal-assets/logos/acme/our%20logo%2B1.svg')->content, '', 'HEAD');
$t->write_file('logos/new.png', 'new');
is($t->get('/portal-assets/logos/new.png')->content, 'new', 'one that has come meanwhile');
is($t->get("/portal-assets/logos/$_")->code, 404, "not $_") for 'none.png', 'acme/secret.txt', 'acme', 'large.png', 'pipe.png', 'acme/', '%2e%2e/outside.png',
    'acme%5c..%5c..%5coutside.png', '..%2foutside.png', '/etc/passwd', '';
is($t->post('/portal-assets/logos/new.png', json => {})->code, 404, 'nor by POST');

is(shown($_), undef, "$_: initials instead") for 'acme/secret.txt', 'https://elsewhere.example/logo.png';
is(shown(undef), undef, 'none');

subtest 'below a prefix' => sub {
    shown('new.png');
    $t->stop('nginx');
    $t->{option}{base_url} = $t->base_url . '/p';
    $t->{option}{location} = 'location /p/ { portal_page; portal_api; portal_workspace any; }';
    $t->start('nginx');
    $base = '/p';
    is(shown(), '/p/portal-assets/logos/new.png', 'there');
    is($t->get('/p/portal-assets/logos/new.png')->content, 'new', 'served');
};

subtest 'without a root' => sub {
    $t->stop('nginx');
    $t->{option}{http} = "portal_page_files $page;";
    $t->start('nginx');
    is(shown(), undef, 'no address');
    is($t->get('/p/portal-assets/logos/new.png')->code, 404, 'and no file');
};

$t->done;
