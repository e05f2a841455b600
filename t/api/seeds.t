# The public examples of the two products run as they stand, but for host, tokens and ids; t/demo/demo.t runs them, too.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use SeedExamples;

my $t = PortalTest->new;
my $ws = $t->workspace(slug => 'seeds');
my $token = $t->token($ws);
my $customer = $t->customer($ws);
my $contact = $t->contact($ws, id => 1);
my $company = $t->company($ws, id => 1);
my $url = $t->base_url;
my %our = (url => $url, token => $token, customer => $customer->{id}, contact => $contact->{id}, company => $company->{id});

# (status, decoded body) of a curl example
sub curl {
    my ($example) = @_;
    $t->write_file('.curlrc', qq(silent\nshow-error\nwrite-out = "\\n%{http_code}"\n));
    local $ENV{CURL_HOME} = $t->dir;
    my ($code, undef, $out, $err) = $t->run('curl', 'bash', '-c', adapted($example, %our));
    is($code, 0, 'curl') or diag $err;
    my ($body, $status) = $out =~ /^(.*)\n(\d+)\z/s;
    return ($status, json_of($body // '{}'));
}
# what a JavaScript example prints
sub node {
    my ($example) = @_;
    my $file = $t->write_file('example.mjs', adapted($example, %our));
    local $ENV{RAPIDLY_ACCESS_TOKEN} = $token;
    my ($code, undef, $out, $err) = $t->run('node', 'node', $file);
    is($code, 0, 'node') or diag $err;
    return $out;
}
my $portal_token = qr/portal_cpt_[A-Za-z0-9_-]{48}/;

subtest 'create customer session, curl' => sub {
    my ($status, $body) = curl($example{session_curl});
    is($status, 201, 'created');
    is_deeply([sort keys %$body], [sort qw(created_at modified_at id token expires_at return_url customer_portal_url
        customer_id customer)], 'members');
    is_deeply([sort keys %{ $body->{customer} }], [sort qw(id created_at modified_at metadata external_id email
        email_verified name billing_address workspace_id deleted_at avatar_url type)], 'customer');
};

subtest 'create customer session, JavaScript' => sub {
    like(node($example{session_js}), qr{^redirect \Q$url\E/seeds/portal\?customer_session_token=portal_cst_}, 'the link');
};

subtest 'portal configuration, curl' => sub {
    my ($status, $body) = curl($example{config_curl});
    is($status, 200, 'answered');
    is_deeply([sort keys %{ $body->{data} }], [sort qw(portal_name portal_logo primary_color secondary_color
        welcome_message enabled_modules is_active allow_file_sharing show_activity_feed token_expiration_days)], 'members');
    is_deeply([@{ $body->{data} }{qw(portal_name primary_color secondary_color welcome_message token_expiration_days)}],
        ['Client Portal', '#3B82F6', '#1E40AF', 'Welcome to your client portal!', 30], 'values');
};

subtest 'portal configuration, JavaScript' => sub {
    my $out = node($example{config_js});
    like($out, qr/^Portal name: Client Portal$/m, 'name');
    like($out, qr/^Enabled modules: \[ 'invoices', 'proposals', 'tasks' \]$/m, 'modules');
};

subtest 'invitation of a contact, curl' => sub {
    my ($status, $body) = curl($example{invite_contact_curl});
    is($status, 200, 'answered');
    is($body->{message}, 'Portal invitation sent successfully', 'message');
    like($body->{token}, qr/^$portal_token$/, 'token');
    my ($mail) = $t->mails(1);
    like($mail->{text}, qr/Welcome!/, 'mailed');
};

subtest 'invitation of a company, curl' => sub {
    my ($status, $body) = curl($example{invite_company_curl});
    is($status, 200, 'answered');
    is($body->{message}, 'Portal invitation sent successfully', 'message');
};

subtest 'invitation and token, JavaScript' => sub {
    my $out = node($example{invite_js});
    like($out, qr{^Portal token: $portal_token$}m, 'token');
    like($out, qr{^Portal URL: \Q$url\E/client-portal/$portal_token$}m, 'url');
};

subtest 'portal token, curl' => sub {
    my ($status, $body) = curl($example{token_curl});
    is($status, 200, 'answered');
    is_deeply([sort keys %$body], [qw(expires_at token url)], 'members');
    is($body->{url}, "$url/client-portal/$body->{token}", 'url');
};

$t->done;
