# The search for credentials after each test file finds them: here are some where none may be.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(mail => { auth => 'portal:correct horse' }, http => 'log_format bearer "$status $http_authorization";',
    location => 'location = /bearer { access_log %%DIR%%/bearer.log bearer; return 204; }');
my $ws = $t->workspace;
my $token = $t->token($ws);
my $customer = $t->customer($ws, email => 'mike@example.com');
my $session = $t->session($customer);
my $hook = json_of($t->post('/api/webhooks/endpoints', token => $token, json => { url => 'https://hooks.example.com/' }))->{secret};
my $ticket = json_of($t->post('/api/customer-portal/customers/stream-ticket', token => $session, json => {}))->{ticket};
$t->post('/api/customer-portal/customer-session/request', json => { email => 'mike@example.com', workspace_id => $ws->{id} });
my $code = $t->login_code('mike@example.com');
my ($key) = slurp($t->dir . '/secret') =~ /^\w+ sign (\S+)/m;
my $unseen = 'portal_mst_' . 'x' x 48;
ok($_, 'made') for $token, $session, $hook, $ticket, $code, $key;

subtest 'found where they are' => sub {
    $t->get('/bearer', token => $token);
    $t->company($ws, name => "a $_", email => undef) for $code, $hook, $unseen;
    $t->redis->set(last => $_) for $session, $ticket, 'correct horse';
    eval { $t->db->do("SELECT 1 / 0 /* $key */") };
    my $leaks = $t->leaks;
    is_deeply([sort map { s/ after: .*//r } split /\n/, $leaks], [sort 'bearer.log: a token', "the database: a login's code",
        "the database: a webhook's secret", 'the database: what looks like one', 'monitor.log: a token', 'monitor.log: a ticket or a choice',
        'monitor.log: a password', 'postgres.log: a server secret'], 'each in its place, and nothing else');
    unlike($leaks, qr/\Q$_\E/, 'and is not told again') for $token, $session, $hook, $ticket, $code, $key, $unseen, 'correct horse';
    $t->shut_down;
};

subtest 'and the test file fails' => sub {
    for my $plant ('', '$t->contact($ws, name => $t->token($ws))', '$t->redis->get($t->token($ws))', '$t->write_file("error.log", $t->token($ws))') {
        my ($code, $output) = $t->run('perl', $^X, '-I' . PortalTest::root() . '/t/lib', '-MPortalTest', '-e',
            'my $t = PortalTest->new(nginx => 0, helper => 0); my $ws = $t->workspace; ' . $plant . '; $t->done');
        is(!!$code, !!$plant, $plant || 'but for a clean one');
        like($output, qr/^not ok \d+ - no credential in a log, in the database or in what Redis was told$/m, 'by this') if $plant;
    }
};

$t->clean;
done_testing;
