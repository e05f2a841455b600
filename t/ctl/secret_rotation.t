# portalctl secret rotate|promote|retire|status: from one secret to the next while everything goes on.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0);
my $ws = $t->workspace;
my $file = $t->dir . '/secret';
my $old_key;
my $token = $t->token($ws);
my $unused = $t->token($ws, 'customers:read');
my $customer = $t->customer($ws);
my $team = $t->customer($t->workspace(member_model => 1), type => 'team');
my $contact = $t->contact($ws);
my $company = $t->company($ws);
my $session = $t->session($customer);
my $member_session = $t->session($t->member($team));
my $link = '/api/v1/client-portal/token';
sub link_of { my ($type, $row) = @_; json_of($t->post($link, token => $token, json => { type => $type, id => $row->{id} }))->{token} }
my $portal_token = link_of(contact => $contact);
my $other_link = link_of(company => $company);
my %key = (token => $token, json => { customer_id => $customer->{id} }, headers => { 'Idempotency-Key' => 'k' });
my $kept = json_of($t->post('/api/customer-sessions/', %key))->{token};
my $hook = json_of($t->post('/api/webhooks/endpoints', token => $token, json => { url => 'https://hooks.example.org/', enabled => false }));

sub state_of { my %state = map { $_->{id} => $_->{state} } @{ $t->ctl('secret', 'status')->{secrets} }; \%state }
sub holds { my ($id) = @_; (grep { $_->{id} eq $id } @{ $t->ctl('secret', 'status')->{secrets} })[0]{holds} }
sub under { my ($table, $id) = @_; $t->value("SELECT count(*) FROM portal.$table WHERE secret_id = ?", $id) }
sub refuses { my ($name, $pattern, @arguments) = @_;
    my $before = slurp($file);
    my ($code, undef, undef, $err) = $t->ctl_run('secret', @arguments);
    is($code, 1, $name) or diag $err;
    like($err, $pattern, "$name: says why");
    is(slurp($file), $before, "$name: the file is as it was") }
sub all_work { my ($name) = @_;
    is_status($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }), 201, "$name: access token");
    is(link_of(contact => $contact), $portal_token, "$name: the link can be shown again");
    is(json_of($t->post('/api/customer-sessions/', %key))->{token}, $kept, "$name: an answer is replayed") }

subtest 'one secret' => sub {
    is_deeply(state_of(), { k1 => 'sign', limits => 'limiter' });
    is_deeply(holds('k1'), { workspace_access_tokens => 4, customer_sessions => 2, member_sessions => 1,
        client_portal_tokens => 2, ciphertexts => 2, idempotency_keys => 1, webhook_secrets => 1 }, 'what it holds');
    is(holds('limits'), undef, 'the limiter key holds nothing that could be counted');
    my (undef, undef, $table) = $t->ctl_run('secret', 'status');
    like($table, qr/^ID +STATE +TOKENS +SESSIONS +LINKS +CIPHERTEXTS +IDEMPOTENCY +WEBHOOKS +MAY RETIRE\nk1 +sign +4 +3 +2 +2 +1 +1 +no$/m, 'for people');
    refuses('retire what signs', qr/k1: this secret signs/, qw(retire k1));
    refuses('retire what signs, by force', qr/k1: this secret signs/, qw(retire k1 --force));
    refuses('retire the limiter key', qr/limits: .*never rotates/, qw(retire limits --force));
    refuses('promote the limiter key', qr/limits: .*never rotates/, qw(promote limits));
    refuses('retire nothing', qr/no old secret to retire/, qw(retire));
    refuses('promote nothing', qr/no secret waits/, qw(promote));
    refuses('an unknown id', qr/nonsense: there is no secret of this id/, qw(promote nonsense));
};

subtest 'rotate adds one that verifies' => sub {
    chmod 0600, $file;
    chown 65534, 65534, $file if !$>;
    PortalTest::slurp($file) =~ /^(k1 .*)$/m;
    my $line = $1;
    $old_key = (split ' ', $line)[2];
    my $made = $t->ctl('secret', 'rotate');
    is_deeply($made, { secret_file => $file, id => 'k2', state => 'verify' });
    my $text = slurp($file);
    like($text, qr/^\Q$line\E$/m, 'the old line stays');
    like($text, qr/^k2 verify \S{44}$/m, 'a new one');
    like($text, qr/^# Secrets of the portal/, 'and the comments');
    my @about = stat $file;
    is(sprintf('%04o', $about[2] & 07777), '0600', 'the mode is kept');
    is_deeply([@about[4, 5]], [$> ? ($>, $about[5]) : (65534, 65534)], 'and the owner');
    chown 0, 0, $file if !$>;
    is_deeply([glob "$file.*"], [], 'nothing is left beside it');
    is_deeply(state_of(), { k1 => 'sign', k2 => 'verify', limits => 'limiter' });
    $t->reload;
    $t->restart('helper');
    all_work('rotated');
    is(under(workspace_access_tokens => 'k2'), 0, 'nothing moved');
};

my $login = '/api/customer-portal/customer-session';
my $challenge = json_of($t->post("$login/request", json => { email => $customer->{email}, workspace_id => $ws->{id} }))->{challenge_id};
my $code = $t->login_code($customer->{email});

subtest 'promote makes it sign; what is used moves' => sub {
    is_deeply($t->ctl('secret', 'promote'), { secret_file => $file, id => 'k2', state => 'sign' });
    my ($code, $both) = $t->ctl_run(qw(secret promote k2));
    is($code, 0, 'once more');
    like($both, qr/k2 signs already/);
    is_deeply(state_of(), { k1 => 'verify', k2 => 'sign', limits => 'limiter' });
    $t->reload;
    all_work('promoted');
    ok($t->wait_for(sub { $t->row('SELECT * FROM portal.workspace_access_tokens WHERE id = ?', $t->token_id($token))->{secret_id} eq 'k2' }), 'the token used is under k2');
    my $row = $t->row('SELECT * FROM portal.workspace_access_tokens WHERE id = ?', $t->token_id($token));
    is($row->{modified_at}, undef, 'which is no change of the token');
    is_status($t->get('/api/v1/client-portal/config', token => $token), 200, 'it works under k2');
    is($t->row('SELECT * FROM portal.workspace_access_tokens WHERE id = ?', $t->token_id($unused))->{secret_id}, 'k1', 'one that is not used stays');
    refuses('retire what is in use', qr/k1 still holds 3 access tokens, \d sessions, 2 portal tokens, 2 ciphertexts, 1 idempotency row, 1 webhook secret;/, qw(retire k1));
};

subtest 'a login code that was mailed before works after' => sub {
    $t->restart('helper');
    my %sent = (challenge_id => $challenge, email => $customer->{email}, workspace_id => $ws->{id});
    is_status($t->post("$login/request", json => \%sent), 202, 'sent once more, under k2');
    my $again = $t->login_code($customer->{email}, 2);
    is_status($t->post("$login/authenticate", json => { challenge_id => $challenge, code => $code =~ tr/A-Z0-9/B-ZA1-90/r }), 401, 'another code');
    my $other = json_of($t->post("$login/request", json => { email => $customer->{email}, workspace_id => $ws->{id} }))->{challenge_id};
    is_status($t->post("$login/authenticate", json => { challenge_id => $other, code => $code }), 401, 'of another challenge');
    my ($first) = map { json_of($t->post("$login/authenticate", json => { challenge_id => $challenge, code => $_ }))->{token} } $code;
    like($first, qr/^portal_cst_/, 'the code of k1');
    is_status($t->post("$login/authenticate", json => { challenge_id => $challenge, code => $again }), 401, 'once');
    is_status($t->post("$login/authenticate", json => { challenge_id => $other, code => $t->login_code($customer->{email}, 3) }), 200, 'and one of k2');
};

subtest 'each kind moves when it is used' => sub {
    for my $case (['customer_sessions', $session], ['customer_sessions', $kept], ['member_sessions', $member_session], ['client_portal_tokens', $portal_token]) {
        my ($table, $bearer) = @$case;
        my $before = under($table, 'k1');
        # of the wrong kind here, but looked up
        is_status($t->get('/api/v1/client-portal/config', token => $bearer), 401, $table);
        ok($t->wait_for(sub { under($table, 'k1') == $before - 1 }), "$table: moved");
    }
};

subtest 'the helper re-encrypts' => sub {
    my $before = $t->row('SELECT * FROM portal.client_portal_tokens WHERE company_id = ?', $company->{id});
    like($before->{token_ciphertext}, qr/^1\.k1\./, 'so far under k1');
    $t->write_file('portal.toml', slurp($t->dir . '/portal.toml') . "[housekeeping]\ninterval = 1\n");
    $t->restart('helper');
    ok($t->wait_for(sub { holds('k1')->{ciphertexts} == 0 && holds('k1')->{idempotency_keys} == 0 && holds('k1')->{webhook_secrets} == 0 }), 'none is left under k1');
    like($t->value('SELECT ciphertext FROM portal.webhook_secrets WHERE endpoint_id = ?', $hook->{id}), qr/^1\.k2\./, 'a webhook\'s secret, too');
    my $after = $t->row('SELECT * FROM portal.client_portal_tokens WHERE company_id = ?', $company->{id});
    like($after->{token_ciphertext}, qr/^1\.k2\./, 'under k2 now');
    is($after->{secret_id}, 'k2', 'and hashed with it, without being used');
    is($after->{modified_at}, undef, 'which is no change of the link');
    is(holds('k1')->{client_portal_tokens}, 0, 'no link is left');
    all_work('re-encrypted');
    is(link_of(company => $company), $other_link, 'the other link too');
    like($t->log_text('helper.log'), qr/housekeeping: re-encrypted \d+ portal tokens/, 'the log tells');
};

subtest 'retire' => sub {
    refuses('while something is held', qr/k1 still holds 3 access tokens/, qw(retire));
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE secret_id = ?', undef, 'k1');
    $t->db->do("UPDATE portal.${_}_sessions SET revoked_at = now() WHERE secret_id = ?", undef, 'k1') for qw(customer member);
    is_deeply([map { $_->{retirable} ? 1 : 0 } @{ $t->ctl('secret', 'status')->{secrets} }], [1, 0, 0], 'k1 may go') or diag explain $t->ctl('secret', 'status');
    is_deeply($t->ctl('secret', 'retire'), { secret_file => $file, id => 'k1', state => 'retired' });
    unlike(slurp($file), qr/^k1 verify|\Q$old_key\E/m, 'its key is gone');
    like(slurp($file), qr/^k1 retired \S{44}$/m, 'what is left tells its tokens from forged ones');
    refuses('promote what is retired', qr/k1: this secret is retired/, qw(promote k1));
    refuses('retire it again', qr/k1: this secret is retired/, qw(retire k1 --force));
    $t->reload;
    $t->restart('helper');
    all_work('retired');
    is_status($t->get('/api/v1/client-portal/config', token => $unused), 401, 'what it held is over');
    is($t->ctl('secret', 'rotate')->{id}, 'k3', 'its id is not given again');
    is($t->ctl(qw(secret retire k3))->{state}, 'retired', 'one that never signed may go');
    is($t->ctl('secret', 'rotate')->{id}, 'k4', 'nor is that one\'s');
};

subtest 'by force, and what is missed then' => sub {
    $t->ctl(qw(secret promote k4));
    refuses('in use', qr/k2 still holds/, qw(retire k2));
    $t->ctl(qw(secret retire k2 --force));
    is(state_of()->{k2}, 'retired');
    cmp_ok(holds('k2')->{workspace_access_tokens}, '>', 0, 'the rows still name it');
    like(($t->ctl_run('secret', 'status'))[1], qr/missing in \Q$file\E, or retired/, 'and people are told');
    $t->db->do("UPDATE portal.workspace_access_tokens SET secret_id = 'gone' WHERE secret_id = 'k2'");
    is(state_of()->{gone}, 'missing', 'a secret that is not in the file at all');
};

subtest 'a file that is a link, or no secret file' => sub {
    rename $file, "$file.real";
    symlink "$file.real", $file;
    is($t->ctl('secret', 'rotate')->{id}, 'k5');
    ok(-l $file, 'the link stays a link');
    like(slurp("$file.real"), qr/^k5 verify /m, 'what it leads to is changed');
    unlink $file;
    refuses('no file', qr/cannot read \Q$file\E/, 'rotate');
    $t->write_file('secret', "k1 sign short\n");
    chmod 0640, $file;
    refuses('a broken one', qr{\Q$file\E: line 1: }, 'rotate');
    rename "$file.real", $file;
    chmod 0644, $file;
    refuses('one that others can read', qr/others can read or write it/, 'rotate');
    chmod 0640, $file;
};

subtest 'ten at once' => sub {
    my $keys = () = slurp($file) =~ /^k\d+ /mg;
    my @pids = map { my $pid = fork; if (!$pid) { open STDOUT, '>', '/dev/null'; exec PortalTest::build() . '/portalctl', '--config', $t->dir . '/portal.toml', 'secret', 'rotate' } $pid } 1 .. 10;
    waitpid $_, 0 for @pids;
    is(scalar(() = slurp($file) =~ /^k\d+ /mg), $keys + 10, 'none is lost');
};

$t->done;
