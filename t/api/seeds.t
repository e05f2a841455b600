# The public examples of the two products run as they stand, but for host, tokens and ids.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace(slug => 'seeds');
my $token = $t->token($ws);
my $customer = $t->customer($ws);
my $contact = $t->contact($ws, id => 1);
my $company = $t->company($ws, id => 1);
my $url = $t->base_url;
my $member = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';    # the workspace has no member model: not looked at

sub adapted {
    my ($example) = @_;
    $example =~ s{https://(?:api\.rapidly\.tech|your-domain\.com)}{$url}g;
    $example =~ s{fetch\('/}{fetch('$url/}g;
    $example =~ s{<token>|your-token}{$token}g;
    $example =~ s{"(member_id)": "<string>"}{"$1": "$member"}g;
    $example =~ s{(customer_id"?: )"<(?:string|value)>"}{$1"$customer->{id}"}g;
    return $example;
}
# (status, decoded body) of a curl example
sub curl {
    my ($example) = @_;
    $t->write_file('.curlrc', qq(silent\nshow-error\nwrite-out = "\\n%{http_code}"\n));
    local $ENV{CURL_HOME} = $t->dir;
    my ($code, undef, $out, $err) = $t->run('curl', 'bash', '-c', adapted($example));
    is($code, 0, 'curl') or diag $err;
    my ($body, $status) = $out =~ /^(.*)\n(\d+)\z/s;
    return ($status, json_of($body // '{}'));
}
# what a JavaScript example prints
sub node {
    my ($example) = @_;
    my $file = $t->write_file('example.mjs', "const redirect = (url) => console.log('redirect', url);\n" . adapted($example));
    local $ENV{RAPIDLY_ACCESS_TOKEN} = $token;
    my ($code, undef, $out, $err) = $t->run('node', 'node', $file);
    is($code, 0, 'node') or diag $err;
    return $out;
}
my $portal_token = qr/portal_cpt_[A-Za-z0-9_-]{48}/;

subtest 'create customer session, curl' => sub {
    my ($status, $body) = curl(<<'EXAMPLE');
curl --request POST \
  --url https://api.rapidly.tech/api/customer-sessions/ \
  --header 'Authorization: Bearer <token>' \
  --header 'Content-Type: application/json' \
  --data '
{
  "customer_id": "<string>",
  "return_url": "https://example.com/account",
  "member_id": "<string>",
  "external_member_id": "<string>"
}
'
EXAMPLE
    is($status, 201, 'created');
    is_deeply([sort keys %$body], [sort qw(created_at modified_at id token expires_at return_url customer_portal_url
        customer_id customer)], 'members');
    is_deeply([sort keys %{ $body->{customer} }], [sort qw(id created_at modified_at metadata external_id email
        email_verified name billing_address workspace_id deleted_at avatar_url type)], 'customer');
};

subtest 'create customer session, JavaScript' => sub {
    like(node(<<'EXAMPLE'), qr{^redirect \Q$url\E/seeds/portal\?customer_session_token=portal_cst_}, 'the link');
async function run() {
  const response = await fetch("https://api.rapidly.tech/api/customer-sessions/", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Authorization: `Bearer ${process.env["RAPIDLY_ACCESS_TOKEN"] ?? ""}`,
    },
    body: JSON.stringify({
      customer_id: "<value>",
    }),
  });

  const result = await response.json();
  redirect(result.customer_portal_url);
}

run();
EXAMPLE
};

subtest 'portal configuration, curl' => sub {
    my ($status, $body) = curl(<<'EXAMPLE');
curl -H "Authorization: Bearer your-token" \
https://your-domain.com/api/v1/client-portal/config
EXAMPLE
    is($status, 200, 'answered');
    is_deeply([sort keys %{ $body->{data} }], [sort qw(portal_name portal_logo primary_color secondary_color
        welcome_message enabled_modules is_active allow_file_sharing show_activity_feed token_expiration_days)], 'members');
    is_deeply([@{ $body->{data} }{qw(portal_name primary_color secondary_color welcome_message token_expiration_days)}],
        ['Client Portal', '#3B82F6', '#1E40AF', 'Welcome to your client portal!', 30], 'values');
};

subtest 'portal configuration, JavaScript' => sub {
    my $out = node(<<'EXAMPLE');
const response = await fetch('/api/v1/client-portal/config', {
headers: {
'Authorization': 'Bearer your-token'
}
});

const { data } = await response.json();
console.log('Portal name:', data.portal_name);
console.log('Enabled modules:', data.enabled_modules);
EXAMPLE
    like($out, qr/^Portal name: Client Portal$/m, 'name');
    like($out, qr/^Enabled modules: \[ 'invoices', 'proposals', 'tasks' \]$/m, 'modules');
};

subtest 'invitation of a contact, curl' => sub {
    my ($status, $body) = curl(<<'EXAMPLE');
curl -X POST \
-H "Authorization: Bearer your-token" \
-H "Content-Type: application/json" \
-d '{"custom_message": "Welcome!"}' \
https://your-domain.com/api/v1/client-portal/contacts/1/invite
EXAMPLE
    is($status, 200, 'answered');
    is($body->{message}, 'Portal invitation sent successfully', 'message');
    like($body->{token}, qr/^$portal_token$/, 'token');
    my ($mail) = $t->mails(1);
    like($mail->{text}, qr/Welcome!/, 'mailed');
};

subtest 'invitation of a company, curl' => sub {
    my ($status, $body) = curl(<<'EXAMPLE');
curl -X POST \
-H "Authorization: Bearer your-token" \
-H "Content-Type: application/json" \
-d '{"custom_message": "Welcome!"}' \
https://your-domain.com/api/v1/client-portal/companies/1/invite
EXAMPLE
    is($status, 200, 'answered');
    is($body->{message}, 'Portal invitation sent successfully', 'message');
};

subtest 'invitation and token, JavaScript' => sub {
    my $out = node(<<'EXAMPLE');
// Send invitation
const response = await fetch('/api/v1/client-portal/contacts/1/invite', {
method: 'POST',
headers: {
'Authorization': 'Bearer your-token',
'Content-Type': 'application/json'
},
body: JSON.stringify({
custom_message: 'Welcome to your portal!'
})
});

const data = await response.json();
console.log('Portal token:', data.token);
console.log('Portal URL:', `https://your-domain.com/client-portal/${data.token}`);
EXAMPLE
    like($out, qr{^Portal token: $portal_token$}m, 'token');
    like($out, qr{^Portal URL: \Q$url\E/client-portal/$portal_token$}m, 'url');
};

subtest 'portal token, curl' => sub {
    my ($status, $body) = curl(<<'EXAMPLE');
curl -X POST \
-H "Authorization: Bearer your-token" \
-H "Content-Type: application/json" \
-d '{"type": "contact", "id": 1}' \
https://your-domain.com/api/v1/client-portal/token
EXAMPLE
    is($status, 200, 'answered');
    is_deeply([sort keys %$body], [qw(expires_at token url)], 'members');
    is($body->{url}, "$url/client-portal/$body->{token}", 'url');
};

$t->done;
