# What stops a guesser: code-send, code-try, one redemption.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $path = '/api/customer-portal/customer-session';
my $refusal = { error => 'CustomerSessionCodeInvalidOrExpired', detail => 'This customer session code is invalid or has expired.' };
my $ws = $t->workspace(slug => 'acme');
sub ask { my ($what, $address, $json, %headers) = @_; $t->post("$path/$what", json => $json, headers => { 'X-Real-IP' => $address, %headers }) }
# the codes of all mails so far, by challenge
sub codes {
    my %challenge = map { $_->{message_id} => $_->{challenge_id} } @{ $t->db->selectall_arrayref(
        'SELECT message_id, challenge_id FROM portal.outbox WHERE challenge_id IS NOT NULL', { Slice => {} }) };
    return map { my ($id) = $_->{headers}{'message-id'}[0] =~ /<([^@]+)/; my ($code) = $_->{text} =~ /^ +([A-Z0-9]{6})\r?$/m;
        $challenge{$id} ? ($challenge{$id} => $code) : () } $t->mails(1);
}

subtest 'ten requests of an address' => sub {
    my @answers = map { ask(request => '10.1.0.1', { email => "nobody$_\@example.com" }) } 1 .. 11;
    is_deeply([map { $_->code } @answers], [(202) x 10, 429], 'the eleventh is refused');
    is_answer($answers[10], 429, { detail => 'Too Many Requests' });
    is($answers[0]->header('RateLimit-Policy'), '"code-send";q=10;w=900', 'policy');
    is($answers[0]->header('X-RateLimit-Remaining'), 9, 'remaining');
    like($answers[10]->header('Retry-After'), qr/^(?:8\d\d|900)$/, 'Retry-After');
    is(ask(request => '10.1.0.1', { email => 'nobody1@example.com' }, Authorization => 'Bearer ' . $t->token($ws))->code, 429, 'with a bearer, too');
    is(ask(request => '10.1.0.2', {})->code, 422, 'another address');
};

subtest 'five mails to an e-mail address, and nothing to be seen of it' => sub {
    $t->customer($ws, email => 'five@example.com');
    my @answers = map { ask(request => "10.2.0.$_", { email => $_ % 2 ? 'five@example.com' : 'FIVE@example.com', workspace_id => $ws->{id} }) } 1 .. 8;
    is_deeply([map { $_->code . ' ' . $_->header('X-RateLimit-Remaining') } @answers], [('202 9') x 8], 'all alike');
    ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.outbox WHERE state = 'queued')) == 0 }), 'all is out');
    is(scalar(my @files = $t->mail_files), 5, 'five mails');
    my %code = codes();
    my @challenges = map { json_of($_)->{challenge_id} } @answers;
    is_deeply([map { exists $code{$_} ? 1 : 0 } @challenges], [(1) x 5, (0) x 3], 'the first five');
    is(ask(authenticate => '10.2.1.1', { challenge_id => $challenges[4], code => $code{ $challenges[4] } })->code, 200, 'which open');
    $t->customer(my $other = $t->workspace, email => 'five@example.com');
    ask(request => '10.2.0.9', { email => 'five@example.com', workspace_id => $other->{id} });
    $t->login_code('five@example.com', 6);
    pass('another workspace counts for itself');
};

subtest 'ten tries of an address; a right code is given back' => sub {
    $t->customer($ws, email => 'right@example.com');
    my @challenges = map { json_of(ask(request => '10.3.0.1', { email => 'right@example.com', workspace_id => $ws->{id} }))->{challenge_id} } 1 .. 4;
    $t->login_code('right@example.com', 4);
    my %code = codes();
    is(ask(authenticate => '10.3.0.2', { challenge_id => $_, code => $code{$_} })->code, 200, 'right') for @challenges[0 .. 2];
    my @answers = map { ask(authenticate => '10.3.0.2', { challenge_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', code => 'ABCDEF' }) } 1 .. 11;
    is_deeply([map { $_->code } @answers], [(401) x 10, 429], 'ten wrong ones after three right ones');
    is($answers[0]->header('RateLimit-Policy'), '"code-try";q=10;w=900', 'policy');
    is_answer(ask(authenticate => '10.3.0.2', { challenge_id => $challenges[3], code => $code{ $challenges[3] } }), 429,
        { detail => 'Too Many Requests' }, 'then the right one is not looked at');
    is(ask(authenticate => '10.3.0.3', { challenge_id => $challenges[3], code => $code{ $challenges[3] } })->code, 200, 'but from elsewhere');
};

subtest 'fifty redemptions at once: one wins' => sub {
    $t->customer($ws, email => 'fifty@example.com');
    my $challenge = json_of(ask(request => '10.4.0.1', { email => 'fifty@example.com', workspace_id => $ws->{id} }))->{challenge_id};
    my $code = $t->login_code('fifty@example.com');
    my @answers = $t->at_once(map { $t->bytes(POST => "$path/authenticate", json => { challenge_id => $challenge, code => $code },
        headers => { 'X-Real-IP' => "10.4.1.$_" }) } 1 .. 50);
    my %count;
    $count{ $_->code }++ for @answers;
    is_deeply(\%count, { 200 => 1, 401 => 49 }, 'one') or diag explain \%count;
    is($t->value('SELECT count(*) FROM portal.customer_sessions s JOIN portal.customers c ON c.id = s.customer_id WHERE c.email = ?', 'fifty@example.com'), 1, 'one session');
};

subtest 'fifty wrong codes at once count as five' => sub {
    $t->customer($ws, email => 'wrong@example.com');
    my $challenge = json_of(ask(request => '10.5.0.1', { email => 'wrong@example.com', workspace_id => $ws->{id} }))->{challenge_id};
    my $code = $t->login_code('wrong@example.com');
    (my $wrong = $code) =~ tr/A-Z0-9/B-Z0-9A/;
    my @answers = $t->at_once(map { $t->bytes(POST => "$path/authenticate", json => { challenge_id => $challenge, code => $wrong },
        headers => { 'X-Real-IP' => "10.5.1.$_" }) } 1 .. 50);
    is(scalar(grep { $_->code == 401 } @answers), 50, 'all refused');
    is($t->value('SELECT tries FROM portal.login_challenges WHERE id = ?', $challenge), 5, 'five are counted');
    is_answer(ask(authenticate => '10.5.2.1', { challenge_id => $challenge, code => $code }), 401, $refusal, 'the right one is too late');
};

subtest 'forty wrong codes and the right one at once' => sub {
    my $tries = sub { $t->value('SELECT tries FROM portal.login_challenges WHERE id = ?', $_[0]) };
    for my $round (1 .. 5) {
        $t->customer($ws, email => "mixed$round\@example.com");
        my $challenge = json_of(ask(request => "10.7.0.$round", { email => "mixed$round\@example.com", workspace_id => $ws->{id} }))->{challenge_id};
        my $code = $t->login_code("mixed$round\@example.com");
        my @codes = ('AAAAAA') x 40;
        splice @codes, 8 * $round - 1, 0, $code;
        my @answers = $t->at_once(map { $t->bytes(POST => "$path/authenticate", json => { challenge_id => $challenge, code => $codes[$_] },
            headers => { 'X-Real-IP' => "10.7.$round.$_" }) } 0 .. $#codes);
        my $won = grep { $_->code == 200 } @answers;
        is(scalar(grep { $_->code == 401 } @answers), 41 - $won, 'refused');
        cmp_ok($tries->($challenge), '<=', 5 - $won, 'not more than five were looked at');
        is_answer(ask(authenticate => "10.7.$round.200", { challenge_id => $challenge, code => $code }), 401, $refusal, 'afterwards the right one is too late');
    }
};

subtest 'a try is taken before the code is looked at' => sub {
    $t->customer($ws, email => 'first@example.com');
    my $open = sub { json_of(ask(request => "10.8.0.$_[0]", { email => 'first@example.com', workspace_id => $ws->{id} }))->{challenge_id} };
    my $challenge = $open->(1);
    my $code = $t->login_code('first@example.com');
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.audit_log IN SHARE MODE');    # no miss can be noted
    is(ask(authenticate => "10.8.1.$_", { challenge_id => $challenge, code => 'AAAAAA' })->code, 503, "wrong $_") for 1 .. 5;
    $t->db->rollback;
    is_answer(ask(authenticate => '10.8.1.6', { challenge_id => $challenge, code => $code }), 401, $refusal, 'and none is left');
    my $second = $open->(2);
    is(ask(authenticate => '10.8.1.7', { challenge_id => $second, code => $t->login_code('first@example.com', 2) })->code, 200, 'a right code');
    is($t->value('SELECT tries FROM portal.login_challenges WHERE id = ?', $second), 0, 'gives its try back');
};

subtest 'four addresses and parallel challenges' => sub {
    $t->customer($ws, email => 'victim@example.com');
    my @addresses = map { "10.6.0.$_" } 1 .. 4;
    my (@open, $tried);
    for my $address (@addresses) {
        for (1 .. 12) {
            my $response = ask(request => $address, { email => 'victim@example.com', workspace_id => $ws->{id} });
            push @open, json_of($response)->{challenge_id} if $response->code == 202;
        }
    }
    is(scalar @open, 40, 'challenges can be had');
    my $mailed = $t->value('SELECT count(*) FROM portal.login_challenges WHERE email = ? AND NOT decoy', 'victim@example.com');
    is($mailed, 5, 'five of them have a code that anybody knows');
    for my $round (1 .. 15) {
        for my $address (@addresses) {
            my $challenge = $open[($round * 4 + length $address) % @open];
            my $response = ask(authenticate => $address, { challenge_id => $challenge, code => 'ABCDEF' });
            $tried++ if $response->code == 401;
            is($response->code, 429, "$address is stopped") if $round > 10;
        }
    }
    is($tried, 40, 'forty guesses of two billion in fifteen minutes');
};

$t->done;
