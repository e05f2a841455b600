# Where webhooks may not go: judged by the address that is connected to, over TLS that is checked.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WebhookReceiver;
use Sys::Hostname;
use Time::HiRes qw(sleep);

# the list is for what is not connected to here: names that look private are none of REST's concern then
my $name = lc hostname;
my $open = qq([webhooks]\nallow = ["127.0.0.0/8", "::1"]\nhttp_hosts = ["127.0.0.1", "localhost"]\n);
my $strict = qq([webhooks]\nallow = ["10.255.0.0/16"]\nhttp_hosts = ["127.0.0.1", "$name"]\n);
my $t = PortalTest->new(http => "portal_webhook_allow 127.0.0.0/8 ::1; portal_webhook_http 127.0.0.1 localhost $name;", toml => $strict);
$t->make_certificate;
my $receiver = WebhookReceiver->new($t);
my $tls = WebhookReceiver->new($t, address => '0.0.0.0', tls => { cert => $t->dir . '/mail.pem', key => $t->dir . '/mail.key' });
my $ws = $t->workspace;
my $token = $t->token($ws);

sub configure { my ($toml) = @_; $t->{option}{toml} = $toml; $t->write_toml; $t->restart('helper') }
# the one attempt at a test event sent to this URL
sub attempt {
    my ($url) = @_;
    my $response = $t->post('/api/webhooks/endpoints', token => $token, json => { url => $url, event_types => ['payment.updated'] });
    is_status($response, 201, $url);
    my $id = json_of($t->post('/api/webhooks/endpoints/' . json_of($response)->{id} . '/test', token => $token))->{id};
    my $attempt;
    ok($t->wait_for(sub { $attempt = $t->row('SELECT * FROM portal.webhook_attempts WHERE delivery_id = ?', $id) }, 20, 0.05), 'tried');
    return $attempt;
}

subtest 'not public' => sub {
    # whoever wrote the URL into the table has not asked REST: the helper judges it itself
    is(attempt($receiver->url('ok/address'))->{error}, 'The address of the URL is not public.', 'an address');
    my $attempt = attempt($receiver->url('ok/name', $name));
    is($attempt->{error}, 'the address is not public', 'a name, by the address it has');
    is($attempt->{status}, undef, 'no answer');
    is(attempt($tls->url('ok/tls', $name))->{error}, 'the address is not public', 'by https, too');
    sleep 0.2;
    is(scalar(() = $receiver->requests), 0, 'nothing was connected to');
    is(scalar(() = $tls->requests), 0, 'nor there');
    local $ENV{http_proxy} = $receiver->url('ok/proxy');
    local $ENV{https_proxy} = $receiver->url('ok/proxy');
    local $ENV{ALL_PROXY} = $receiver->url('ok/proxy');
    $t->restart('helper');
    is(attempt($receiver->url('ok/name', $name))->{error}, 'the address is not public', 'a proxy in the environment is not asked');
    is(scalar(() = $receiver->requests), 0);
};

subtest 'listed' => sub {
    configure($open);
    my $attempt = attempt($receiver->url('ok/listed'));
    is($attempt->{status}, 204, 'may be called');
    $attempt = attempt($receiver->url('huge/listed'));
    is_deeply([@$attempt{qw(status answer)}], [200, undef], 'and of what it answers nothing is kept');
    is(attempt('http://localhost:' . $receiver->port . '/ok/localhost')->{status}, 204, 'by name, too');
    configure(qq([webhooks]\nallow = ["127.0.0.0/8"]\n));
    is(attempt($receiver->url('ok/plain'))->{error}, 'The URL should begin with https://.', 'http only for hosts that are listed for it');
};

subtest 'a host that may be called without TLS, in any case' => sub {
    configure($open);
    is(attempt($receiver->url('ok/case', 'LocalHost'))->{status}, 204);
};

subtest 'certificates' => sub {
    configure($open);
    my $before = () = $tls->requests;
    like(attempt($tls->url('ok/unknown', 'localhost'))->{error}, qr/certificate/i, 'of nobody known');
    configure($open . 'ca_file = "' . $t->dir . qq(/ca.pem"\n));
    is(attempt($tls->url('ok/private', 'localhost'))->{status}, 204, 'of an authority of one\'s own');
    like(attempt($tls->url('ok/other', '127.0.0.2'))->{error}, qr/certificate|peer/i, 'for another name');
    is(scalar(() = $tls->requests), $before + 1, 'nothing was sent to those');
    is(attempt("https://127.0.0.1:" . $receiver->port . '/ok/no-tls')->{status}, undef, 'no TLS there');
};

subtest 'a bad configuration' => sub {
    for (['allow = ["10.0.0.0/33"]', qr/portal\.toml:\d+: "webhooks\.allow" cannot be read: "10\.0\.0\.0\/33" is no range/],
        ['allow = "10.0.0.0\/8"' =~ s/\\//r, qr/"webhooks\.allow" is to be a list of strings/], ['allow = [1]', qr/"webhooks\.allow" is to be a list of strings/],
        ['proxy = "x"', qr/"webhooks\.proxy" is not known/], ['ca_file = "/nowhere.pem"', qr{cannot read /nowhere\.pem}]) {
        $t->{option}{toml} = "[webhooks]\n$_->[0]\n";
        $t->write_toml;
        my ($code, $output) = $t->run('helper', PortalTest::build() . '/portal-helper', '--config', $t->dir . '/portal.toml', '--check');
        is($code, 1, $_->[0]);
        like($output, $_->[1]);
    }
    for (['portal_webhook_allow 10.0.0.0/33;', qr{invalid parameter "10\.0\.0\.0/33" in "portal_webhook_allow", expected a range}],
        ['portal_webhook_http HOOKS.internal;', qr/invalid parameter "HOOKS\.internal" in "portal_webhook_http", expected a host in lower case/],
        ['portal_webhook_http a:80;', qr/expected a host/], ['portal_webhook_allow ::1; portal_webhook_allow ::2;', qr/"portal_webhook_allow" directive is duplicate/]) {
        local $t->{option}{http} = $_->[0];
        my ($code, $output) = $t->nginx_test;
        isnt($code, 0, $_->[0]);
        like($output . PortalTest::slurp($t->dir . '/test.log'), $_->[1]);
    }
};

$t->done;
