# Login while something is down: without Redis nobody can guess, without PostgreSQL or the helper nothing is half-done.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $path = '/api/customer-portal/customer-session';
my $ws = $t->workspace;
$t->customer($ws, email => 'mike@example.com');
my $clients = 0;
sub ask { my ($what, $json) = @_; $clients++; $t->post("$path/$what", json => $json, headers => { 'X-Real-IP' => "10.1.0.$clients" }) }
sub request_code { ask(request => { email => 'mike@example.com' }) }
sub is_unavailable {
    my ($response, $name) = @_;
    is_answer($response, 503, { detail => 'Service Unavailable' }, $name);
    like($response->header('Retry-After') // '', qr/^[1-9]\d*$/, "$name: Retry-After");
}

my $challenge = json_of(request_code())->{challenge_id};
my $code = $t->login_code('mike@example.com');

for my $case (['stopped', sub { $t->stop('redis') }, sub { $t->start('redis') }],
    ['hanging', sub { $t->signal('redis', 'STOP') }, sub { $t->signal('redis', 'CONT') }]) {
    my ($name, $down, $up) = @$case;
    subtest "Redis $name" => sub {
        my $link = $t->session($t->customer($ws));
        my $before = $t->value('SELECT count(*) FROM portal.login_challenges');
        $down->();
        is_unavailable(request_code(), 'a code');
        is_unavailable(ask(authenticate => { challenge_id => $challenge, code => $code }), 'a try');
        is($t->value('SELECT count(*) FROM portal.login_challenges'), $before, 'nothing is stored');
        is($t->value('SELECT consumed_at FROM portal.login_challenges WHERE id = ?', $challenge), undef, 'nothing is spent');
        is($t->post("$path/exchange", json => { token => $link })->code, 204, 'a link opens');
        is($t->get("$path/sessions", token => $link)->code, 200, 'and who is signed in stays so');
        $up->();
        ok($t->wait_for(sub { request_code()->code == 202 }, 8, 0.3), 'back');
    };
}

subtest 'PostgreSQL' => sub {
    $t->stop('postgres', 'KILL');
    is_unavailable(request_code(), 'a code');
    is_unavailable(ask(authenticate => { challenge_id => $challenge, code => $code }), 'a try');
    is_unavailable(ask(exchange => { token => 'nonsense' }), 'a link');
    $t->start('postgres');
    ok($t->wait_for(sub { request_code()->code == 202 }, 8, 0.3), 'back');
};

subtest 'the helper' => sub {
    $t->stop('helper');
    my $count = my @files = $t->mail_files;
    my $later = json_of(request_code())->{challenge_id};
    ok($later, 'a code is promised');
    $t->start('helper');
    ok($t->wait_for(sub { ($t->value('SELECT state FROM portal.outbox WHERE challenge_id = ?', $later) // '') ne 'queued' }), 'and kept');
};

is(ask(authenticate => { challenge_id => $challenge, code => $code })->code, 200, 'the first code still opens');
$t->done;
