# The examples on the public pages of the two products, as they stand there, and what of them differs from server to server.
package SeedExamples;
use strict; use warnings; use utf8;
use Exporter qw(import);
our @EXPORT = qw(%example adapted);

# An example for a server: `url`, `token`, `customer`, `contact`, `company` take the place of what it names.
sub adapted {
    my ($text, %our) = @_;
    my $member = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';    # the workspace has no member model: not looked at
    $text =~ s{https://(?:api\.rapidly\.tech|your-domain\.com)}{$our{url}}g;
    $text =~ s{fetch\('/}{fetch('$our{url}/}g;
    $text =~ s{<token>|your-token}{$our{token}}g;
    $text =~ s{"(member_id)": "<string>"}{"$1": "$member"}g;
    $text =~ s{(customer_id"?: )"<(?:string|value)>"}{$1"$our{customer}"}g;
    $text =~ s{contacts/1/}{contacts/$our{contact}/}g;
    $text =~ s{companies/1/}{companies/$our{company}/}g;
    $text =~ s{("type": "contact", "id": )1\b}{$1$our{contact}}g;
    return "const redirect = (url) => console.log('redirect', url);\n$text" if $text =~ /fetch/;
    return $text;
}

our %example = (
    session_curl => <<'EXAMPLE',
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
    session_js => <<'EXAMPLE',
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
    config_curl => <<'EXAMPLE',
curl -H "Authorization: Bearer your-token" \
https://your-domain.com/api/v1/client-portal/config
EXAMPLE
    config_js => <<'EXAMPLE',
const response = await fetch('/api/v1/client-portal/config', {
headers: {
'Authorization': 'Bearer your-token'
}
});

const { data } = await response.json();
console.log('Portal name:', data.portal_name);
console.log('Enabled modules:', data.enabled_modules);
EXAMPLE
    invite_contact_curl => <<'EXAMPLE',
curl -X POST \
-H "Authorization: Bearer your-token" \
-H "Content-Type: application/json" \
-d '{"custom_message": "Welcome!"}' \
https://your-domain.com/api/v1/client-portal/contacts/1/invite
EXAMPLE
    invite_company_curl => <<'EXAMPLE',
curl -X POST \
-H "Authorization: Bearer your-token" \
-H "Content-Type: application/json" \
-d '{"custom_message": "Welcome!"}' \
https://your-domain.com/api/v1/client-portal/companies/1/invite
EXAMPLE
    invite_js => <<'EXAMPLE',
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
    token_curl => <<'EXAMPLE',
curl -X POST \
-H "Authorization: Bearer your-token" \
-H "Content-Type: application/json" \
-d '{"type": "contact", "id": 1}' \
https://your-domain.com/api/v1/client-portal/token
EXAMPLE
);

1;
