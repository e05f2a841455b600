# $portal_assertion: what a backend that trusts nobody verifies, with another's library, against the published keys.
use strict; use warnings; use utf8;
use Test::More;
use MIME::Base64 qw(decode_base64url encode_base64url);
use PortalTest;

my $t = PortalTest->new(location => <<'NGINX');
        location = /.well-known/portal-jwks.json { portal_jwks; }
        location /site/ { portal_workspace any; portal_auth any; add_header X-Assertion $portal_assertion; alias %%DIR%%/html/; }
        location /dry/  { portal_workspace any; portal_auth any dry_run; add_header X-Assertion "<$portal_assertion>"; alias %%DIR%%/html/; }
NGINX
$t->write_file('html/page.txt', "the page\n");
my $tool = PortalTest::root() . '/t/assertion';
if (!-e "$tool/node_modules/jose") {
    my ($code, $output) = $t->run('npm', 'npm', 'ci', '--prefix', $tool, '--no-audit', '--no-fund', '--ignore-scripts');
    is($code, 0, 'npm ci') or diag $output;
}
mkdir $t->dir . '/jose';
symlink "$tool/node_modules", $t->dir . '/jose/node_modules';
$t->write_file('jose/verify.mjs', <<'JS');
import { createRemoteJWKSet, jwtVerify } from 'jose';
const [keys, token, audience, issuer] = process.argv.slice(2);
try {
    const { payload, protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(keys)), { audience, issuer, algorithms: ['EdDSA'], maxTokenAge: 60 });
    console.log(JSON.stringify({ payload, header: protectedHeader }));
} catch (error) {
    console.log(JSON.stringify({ error: error.code }));
}
JS
sub verified {
    my ($token, $audience) = @_;
    my (undef, undef, $out) = $t->run('nodejs', 'node', $t->dir . '/jose/verify.mjs', $t->base_url . '/.well-known/portal-jwks.json', $token,
        $audience // '127.0.0.1', $t->base_url);
    return json_of($out);
}
sub assertion { my ($token, $host) = @_; $t->get('/site/page.txt', token => $token, headers => { $host ? (Host => $host) : () })->header('X-Assertion') }
sub keys_told { json_of($t->get('/.well-known/portal-jwks.json'))->{keys} }

my $acme = $t->workspace(member_model => 1);
my $ann = $t->customer($acme);
my $owner = $t->member($ann);
my ($customer_session, $member_session) = ($t->session($t->customer($t->workspace)), $t->session($owner));

subtest 'what it says' => sub {
    my $told = verified(assertion($member_session));
    my $claims = $told->{payload} or diag explain $told;
    is($claims->{sub}, "member:$owner->{id}", 'who');
    is($claims->{workspace_id}, $acme->{id}, 'of which workspace');
    is($claims->{workspace}, $acme->{slug}, 'by name');
    is($claims->{customer_id}, $ann->{id}, 'for which customer');
    is($claims->{member_id}, $owner->{id}, 'the member');
    is($claims->{role}, 'owner', 'as what');
    is($claims->{iss}, $t->base_url, 'said by');
    is($claims->{aud}, '127.0.0.1', 'to this host');
    is($claims->{exp} - $claims->{iat}, 60, 'for a minute');
    cmp_ok(abs($claims->{iat} - time), '<=', 21, 'from now');
    is_deeply($told->{header}, { alg => 'EdDSA', typ => 'JWT', kid => 'k1' }, 'signed by the secret k1');
};

subtest 'each its own' => sub {
    my $other = verified(assertion($customer_session))->{payload};
    like($other->{sub}, qr/^customer:/, 'a customer');
    is($other->{role}, undef, 'without a role');
    my $token = $t->token($acme);
    is(verified(assertion($token))->{payload}{sub}, "workspace:$acme->{id}", 'an access token');
    is(verified(assertion($member_session, 'localhost'), 'localhost')->{payload}{aud}, 'localhost', 'another host, another audience');
    is(verified(assertion($member_session, 'localhost'))->{error}, 'ERR_JWT_CLAIM_VALIDATION_FAILED', 'which no other host takes');
    is($t->get('/dry/page.txt')->header('X-Assertion'), '<>', 'nobody has none');
};

subtest 'one for all workers, for a while' => sub {
    my %seen = map { $_->header('X-Assertion') => 1 } $t->at_once(($t->bytes('GET', '/site/page.txt', token => $customer_session)) x 12);
    cmp_ok(scalar keys %seen, '<=', 2, 'signed once, or twice where two workers were asked at once');
};

subtest 'altered ones are refused' => sub {
    my ($header, $claims, $signature) = split /\./, assertion($member_session);
    my $changed = encode_base64url(decode_base64url($claims) =~ s/"owner"/"boss"/r);
    is(verified("$header.$changed.$signature")->{error}, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED', 'another role');
    my $none = encode_base64url('{"alg":"none"}');
    like(verified("$none.$claims.")->{error}, qr/^ERR_/, 'no signature');
};

subtest 'keys turn with the secrets' => sub {
    my $before = assertion($customer_session);
    is_deeply([map { $_->{kid} } @{ keys_told() }], ['k1'], 'one key');
    is_deeply([sort keys %{ keys_told()->[0] }], [qw(alg crv kid kty use x)], 'its public part only');
    $t->ctl_plain('--config', $t->dir . '/portal.toml', 'secret', 'rotate');
    $t->reload;
    is(scalar @{ keys_told() }, 2, 'the next one is published');
    is(verified($before)->{header}{kid}, 'k1', 'before it signs');
    $t->ctl_plain('--config', $t->dir . '/portal.toml', 'secret', 'promote');
    $t->reload;
    my $after = verified(assertion($customer_session));
    isnt($after->{header}{kid}, 'k1', 'the new one signs');
    like($after->{payload}{sub}, qr/^customer:/, 'and verifies; nobody was logged out');
    is(verified($before)->{header}{kid}, 'k1', 'what the old one signed still does');
};

$t->done;
