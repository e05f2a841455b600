# What is sent is Standard Webhooks: the specification's own verifier takes it, and so do the receivers in README.md.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WebhookReceiver;

my $t = PortalTest->new(http => 'portal_webhook_allow 127.0.0.0/8; portal_webhook_http 127.0.0.1;',
    toml => qq([webhooks]\nallow = ["127.0.0.0/8"]\nhttp_hosts = ["127.0.0.1"]\n));
my $tool = PortalTest::root() . '/t/webhooks';
if (!-e "$tool/node_modules/standardwebhooks") {
    my ($code, $output) = $t->run('npm', 'npm', 'ci', '--prefix', $tool, '--no-audit', '--no-fund', '--ignore-scripts');
    is($code, 0, 'npm ci') or diag $output;
}
my $receiver = WebhookReceiver->new($t);
my $ws = $t->workspace;
my $token = $t->token($ws);
my $endpoint = json_of($t->post('/api/webhooks/endpoints', token => $token, json => { url => $receiver->url('ok'), event_types => ['customer.created'] }));
is_status($t->post('/api/customers/', token => $token, json => { email => 'zoe@example.com', name => "Zo\x{eb} \x{1f600} \\\"", metadata => { n => 1 } }), 201);
my ($request) = $receiver->await(qr/ok/, 1);
my $new = json_of($t->patch("/api/webhooks/endpoints/$endpoint->{id}/secret", token => $token))->{secret};
$t->post("/api/webhooks/events/$request->{headers}{'webhook-id'}/redeliver", token => $token);
my ($first, $second) = $receiver->await(qr/ok/, 2);
is($second->{headers}{'webhook-id'}, $first->{headers}{'webhook-id'}, 'a redelivery has the same id');
is($second->{body}, $first->{body}, 'and the same body');

my $readme = PortalTest::slurp(PortalTest::root() . '/README.md');
my ($js) = $readme =~ /^```js\n(import \{ Webhook \}.*?)^```$/ms;
my ($python) = $readme =~ /^```python\n(.*?)^```$/ms;
mkdir $t->dir . '/webhooks';
$t->write_file('webhooks/verified.mjs', $js);
$t->write_file('webhooks/verified.py', $python);
symlink "$tool/node_modules", $t->dir . '/webhooks/node_modules';
$t->write_file('webhooks/ask.mjs', <<'JS');
import { readFileSync } from 'node:fs';
import { verified } from './verified.mjs';
const { body, headers, secret } = JSON.parse(readFileSync(process.argv[2]));
try {
    console.log('taken ' + JSON.stringify(verified(Buffer.from(body, 'latin1').toString(), headers, secret).data.email));
} catch (error) {
    console.log('refused ' + error.message);
}
JS
$t->write_file('webhooks/ask.py', <<'PYTHON');
import json, sys
from verified import verified
case = json.load(open(sys.argv[1]))
try:
    print("taken", json.dumps(verified(case["body"].encode("latin1"), case["headers"], case["secret"])["data"]["email"]))
except ValueError as error:
    print("refused", error)
PYTHON

# what each says of a request, altered in one place
sub said {
    my ($name, $request, $secret, $pattern, $alter) = @_;
    my %case = (%$request, headers => { %{ $request->{headers} } }, secret => $secret);
    $alter->(\%case) if $alter;
    my $file = $t->write_file('webhooks/case.json', JSON::XS->new->ascii->encode(\%case));
    for (['node', 'node', 'ask.mjs'], ['python', '/usr/bin/python3', 'ask.py']) {
        my ($language, @command) = @$_;
        $command[-1] = $t->dir . "/webhooks/$command[-1]";
        my (undef, $output) = $t->run('verifier', @command, $file);
        like($output, $pattern, "$language: $name");
    }
}
my $taken = qr/^taken "zoe\@example\.com"$/;
said('the first delivery', $first, $endpoint->{secret}, $taken);
said('the second, with the new secret', $second, $new, $taken);
said('the second, with the old one', $second, $endpoint->{secret}, $taken);
said('the first, with the new secret', $first, $new, qr/^refused /);
said('another body', $first, $endpoint->{secret}, qr/^refused /, sub { $_[0]{body} =~ s/zoe/eve/ });
said('another id', $first, $endpoint->{secret}, qr/^refused /, sub { $_[0]{headers}{'webhook-id'} .= '0' });
said('a replay, ten minutes later', $first, $endpoint->{secret}, qr/^refused .*old/, sub { $_[0]{headers}{'webhook-timestamp'} -= 600 });
# the time belongs to what is signed: an old webhook with a fresh time is none
said('a replay with a fresh time', $first, $endpoint->{secret}, qr/^refused /, sub { $_[0]{headers}{'webhook-timestamp'} += 60 });

$t->done;
