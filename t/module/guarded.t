# conf/nginx/guarded.conf: an existing site behind the portal, as the example has it.
use strict; use warnings; use utf8;
use Test::More;
use MIME::Base64 qw(encode_base64);
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my $echo = $t->echo;
my $root = PortalTest::root();
my $other = $t->free_port;
$t->{option}{http} = <<"NGINX";
upstream site { server 127.0.0.1:$echo; }
log_format states '\$request_uri \$status auth=\$portal_auth_status limit=\$portal_limit_status';
access_log %%DIR%%/states.log states;
server {
    listen 127.0.0.1:$other;
    location / { auth_request /ask; auth_request_set \$who \$upstream_http_x_portal_customer_id; proxy_set_header X-Who \$who;
        proxy_pass http://127.0.0.1:$echo; }
    location = /ask { internal; proxy_pass http://127.0.0.1:%%PORT%%/portal-auth; proxy_pass_request_body off;
        proxy_set_header Content-Length ""; }
}
NGINX
$t->{option}{location} = "include $root/conf/nginx/guarded.conf;";
$t->write_file('portal_proxy.conf', PortalTest::slurp("$root/conf/portal_proxy.conf"));
$t->write_file('staff.htpasswd', "joe:{PLAIN}hammer\n");
$t->start('nginx');
my ($acme, $elsewhere) = map { $t->workspace(slug => $_) } 'acme', 'elsewhere';
my $ann = $t->customer($acme);
my $session = $t->session($ann);
my $stranger = $t->session($t->customer($elsewhere));
sub sent { my ($response, $name) = @_; $response->content =~ /^\Q$name\E: ?(.*?)\r$/mi ? $1 : undef }
sub states {
    my ($path) = @_;
    my $lines = sub { [grep { /\Q$path\E/ } split /\n/, $t->log_text('states.log')] };
    $t->wait_for(sub { @{ $lines->() } }, 3);
    return $lines->();
}

subtest 'pages for customers' => sub {
    my $page = $t->get('/account/orders?page=2', headers => { Cookie => "portal_acme=$session" });
    is_status($page, 200);
    is(sent($page, 'X-Portal-Customer-Id'), $ann->{id}, 'the backend knows the customer');
    like($page->content, qr{^GET /account/orders\?page=2 }, 'and gets the request as it was');
    unlike($page->content, qr/\Q$session/, 'without the session');
    is_status($t->get('/account/orders', token => $stranger), 302);
};

subtest 'to the sign-in, and back' => sub {
    my %back = ('/account/orders?page=2&all=1' => '%2Faccount%2Forders%3Fpage%3D2%26all%3D1', '/account/a%20b' => '%2Faccount%2Fa%2520b');
    for my $asked (sort keys %back) {
        my $away = $t->get($asked);
        is_status($away, 302);
        like($away->header('Location'), qr{/acme/portal\?return_to=\Q$back{$asked}\E$}, "$asked: where to come back to");
    }
    for my $asked ('//account/evil.example', '/%5Cevil.example/../account/') {
        my $answer = $t->parse($t->raw($t->bytes('GET', $asked)));
        my ($back) = ($answer->header('Location') // '') =~ /return_to=(.*)/;
        unlike($back // '', qr{^%2F(?:%2F|%5C|$)(?!$)}i, "$asked: never another site");
    }
    my $slashes = $t->parse($t->raw($t->bytes('GET', '//account/')));
    is(($slashes->header('Location') // '') =~ /return_to=(.*)/ ? $1 : '', '%2F', 'two slashes are no path');
    my $posted = $t->post('/account/orders', json => {});
    like($posted->header('Location'), qr/return_to=%2F$/, 'a form is not sent again');
};

subtest 'limits by customer' => sub {
    my @sessions = map { $t->session($ann) } 1 .. 2;
    my @left = map { $t->get('/account/', token => $_)->header('X-RateLimit-Remaining') } @sessions;
    is($left[1], $left[0] - 1, 'one counter for both sessions');
};

subtest 'satisfy any' => sub {
    is_status($t->get('/handbook/'), 401);
    is_status($t->get('/handbook/', token => $session), 200);
    my $basic = 'Basic ' . encode_base64('joe:hammer', '');
    my $staff = $t->get('/handbook/', headers => { Authorization => $basic });
    is_status($staff, 200);
    is(sent($staff, 'X-Portal-Principal'), undef, 'staff is no customer');
    is_status($t->get('/handbook/', headers => { Authorization => 'Basic ' . encode_base64('joe:saw', '') }), 401);
    is_status($t->get('/handbook/', token => $stranger), 401);
};

subtest 'dry run' => sub {
    is_status($t->get('/reports/nobody'), 200);
    like(states('/reports/nobody')->[0], qr/200 auth=UNAUTHORIZED_DRY_RUN limit=PASSED/, 'let through, and told');
    my $forged = $t->get('/reports/forged', token => $stranger);
    is_status($forged, 200);
    is(sent($forged, 'X-Portal-Customer-Id'), undef, 'as nobody');
    my $known = $t->get('/reports/known', token => $session);
    is(sent($known, 'X-Portal-Customer-Id'), $ann->{id}, 'a customer is one');
    is($known->header('X-RateLimit-Limit'), undef, 'no limit is told of');
    like(states('/reports/known')->[0], qr/auth=OK limit=PASSED/, 'and passes');
    my @codes = map { $t->get('/reports/often', token => $session)->code } 1 .. 31;
    is_deeply([grep { $_ != 200 } @codes], [], 'nobody is refused');
    like(states('/reports/often')->[-1], qr/auth=OK limit=REJECTED_DRY_RUN/, 'over the limit, and told');
};

subtest 'other proxies ask' => sub {
    my $yes = $t->get('/portal-auth', token => $session);
    is_status($yes, 204);
    is($yes->header('X-Portal-Customer-Id'), $ann->{id}, 'who');
    is_status($t->get('/portal-auth'), 401);
    my $behind = $t->get('/any', token => $session, base => "http://127.0.0.1:$other");
    is_status($behind, 200);
    is(sent($behind, 'X-Who'), $ann->{id}, 'through auth_request');
    is_status($t->get('/any', base => "http://127.0.0.1:$other"), 401);
};

subtest 'what clients say of themselves is not heard' => sub {
    my @names = ('X-Portal-Customer-Id', 'X-Portal-Principal', 'X-Portal-Assertion', 'X-Portal-Anything', 'x-portal-other');
    my $page = $t->get('/account/', token => $session, headers => { map { $_ => "forged-$_" } @names });
    unlike($page->content, qr/forged-/i, 'none of it');
};

$t->done;
