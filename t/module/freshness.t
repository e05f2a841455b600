# A revocation, a block, a change of the portal's configuration: on every worker within a second, helper or not.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 2, server => 'add_header X-Worker $pid always; keepalive_requests 1000000;',
    http => 'portal_rate_limit_class client-portal 100000 60s;',
    location => 'location /site/ { portal_workspace any; portal_auth any; alias %%DIR%%/html/; }');
$t->write_file('html/page.txt', "the page\n");
my $slack = PortalTest::asan() ? 0.5 : 0.1;
my $address = 0;

# a connection to each worker
my %socket;
sub sockets {
    %socket = ();
    for (1 .. 200) {
        my $socket = $t->connect;
        my $answer = $t->ask($socket, "GET /site/ HTTP/1.1\r\nHost: x\r\n\r\n") or next;
        $socket{ $1 } //= $socket if $answer->{head} =~ /^X-Worker: (\d+)/m;
        last if keys %socket == 2;
    }
    is(scalar keys %socket, 2, 'connections to both workers');
}
# each from an address of its own: unknown tokens are limited by address
sub ask {
    my ($worker, $path, $token) = @_;
    my $from = sprintf '10.%d.%d.%d', ++$address / 62500 + 1, $address / 250 % 250, $address % 250;
    return $t->ask($socket{$worker}, "GET $path HTTP/1.1\r\nHost: x\r\nX-Real-IP: $from\r\nAuthorization: Bearer $token\r\n\r\n");
}

# one of each credential, and what ends it
sub cases {
    my ($acme, $club, $lone, $shut) = ($t->workspace, $t->workspace(member_model => 1), $t->workspace, $t->workspace);
    my ($token, $club_token) = ($t->token($acme), $t->token($club));
    my $session = sub { my ($customer) = @_; json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} })) };
    my $member_session = sub { my ($member) = @_; json_of($t->post('/api/member-sessions/', token => $club_token, json => { member_id => $member->{id} })) };
    my $link = sub { my ($contact, $by) = @_; json_of($t->post('/api/v1/client-portal/token', token => $by // $token, json => { type => 'contact', id => $contact->{id} }))->{token} };
    my (%token, %sql);
    my $case = sub { my ($name, $token, $sql, @bind) = @_; $token{$name} = $token; $sql{$name} = [$sql, @bind] };

    my $one = $t->token($acme);
    $case->('token revoked', $one, 'UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE id = ?', $t->token_id($one));
    my $old = $t->token($acme);
    $case->('token expired early', $old, q(UPDATE portal.workspace_access_tokens SET expires_at = now() - interval '1 s' WHERE id = ?), $t->token_id($old));
    $case->('workspace blocked', $t->token($lone), 'UPDATE portal.workspaces SET blocked_at = now() WHERE id = ?', $lone->{id});
    my $ann = $session->($t->customer($acme));
    $case->('session revoked', $ann->{token}, 'UPDATE portal.customer_sessions SET revoked_at = now() WHERE id = ?', $ann->{id});
    my $bob = $t->customer($acme);
    $case->('customer blocked', $session->($bob)->{token}, 'UPDATE portal.customers SET blocked_at = now() WHERE id = ?', $bob->{id});
    my $member = $member_session->($t->member($t->customer($club)));
    $case->('member session revoked', $member->{token}, 'UPDATE portal.member_sessions SET revoked_at = now() WHERE id = ?', $member->{id});
    my $team = $t->customer($club, type => 'team');
    $t->member($team);
    my $second = $t->member($team, role => 'member');
    $case->('member removed', $member_session->($second)->{token}, 'UPDATE portal.members SET deleted_at = now() WHERE id = ?', $second->{id});
    my ($cat, $dan, $eve) = map { $t->contact($acme) } 1 .. 3;
    $case->('link revoked', $link->($cat), 'UPDATE portal.client_portal_tokens SET revoked_at = now() WHERE contact_id = ?', $cat->{id});
    $case->('contact with another address', $link->($dan), q(UPDATE portal.contacts SET email = 'new' || email WHERE workspace_id = ? AND id = ?), $acme->{id}, $dan->{id});
    $case->('contact deleted', $link->($eve), 'UPDATE portal.contacts SET deleted_at = now() WHERE workspace_id = ? AND id = ?', $acme->{id}, $eve->{id});
    my $gil = $t->customer($acme);
    $case->('linked customer blocked', $link->($t->contact($acme, customer_id => $gil->{id})), 'UPDATE portal.customers SET blocked_at = now() WHERE id = ?', $gil->{id});
    my $shut_token = $t->token($shut);
    $case->('portal closed', $link->($t->contact($shut), $shut_token), 'INSERT INTO portal.client_portal_configs (workspace_id, is_active) VALUES (?, false)', $shut->{id});
    return (\%token, \%sql);
}

sub end_all {
    my ($how, $before) = @_;
    subtest $how => sub {
        my ($token, $sql) = cases();
        sockets();
        for my $name (sort keys %$token) {
            is(ask($_, '/site/page.txt', $token->{$name})->{status}, 200, "$name: good before") for sort keys %socket;
        }
        $before->() if $before;
        $t->db->begin_work;
        $t->db->do($_->[0], undef, @$_[1 .. $#$_]) for map { $sql->{$_} } sort keys %$sql;
        $t->db->commit;
        my $changed = time;
        my (%late, %refused);
        while (time - $changed < 1.4) {
            for my $name (sort keys %$token) {
                for my $worker (sort keys %socket) {
                    my $asked = time - $changed;
                    my $status = ask($worker, '/site/page.txt', $token->{$name})->{status};
                    $status == 401 ? $refused{"$name $worker"} = 1
                        : $asked > 1 + $slack ? $late{$name}{ sprintf '%.2f s: %d', $asked, $status } = 1 : next;
                }
            }
            sleep 0.01;
        }
        for my $name (sort keys %$token) {
            is(join(' ', sort keys %{ $late{$name} // {} }), '', "$name: not let in a second later");
            ok($refused{"$name $_"}, "$name: refused") for sort keys %socket;
        }
    };
}

sub change_config {
    my ($how) = @_;
    subtest "configuration, $how" => sub {
        my $ws = $t->workspace;
        my $token = $t->token($ws, 'client_portal:write');
        my $path = '/api/v1/client-portal/config';
        sockets();
        my $name = sub { my $answer = ask($_[0], $path, $token); json_of($answer->{body})->{data}{portal_name} };
        is($name->($_), 'Client Portal', 'before') for sort keys %socket;
        for my $change (['PATCH', sub { is_status($t->patch($path, token => $token, json => { portal_name => $_[0] }), 200, 'PATCH') }],
            ['SQL', sub { $t->db->do('UPDATE portal.client_portal_configs SET portal_name = ? WHERE workspace_id = ?', undef, $_[0], $ws->{id}) }]) {
            my ($by, $do) = @$change;
            $do->("by $by");
            my ($changed, %late, %seen) = (time);
            while (time - $changed < 1.4) {
                for my $worker (sort keys %socket) {
                    my $asked = time - $changed;
                    my $got = $name->($worker);
                    $got eq "by $by" ? $seen{$worker} = 1 : $asked > 1 + $slack ? $late{"$asked: $got"} = 1 : next;
                }
                sleep 0.01;
            }
            is(join(' ', sort keys %late), '', "$by: not the old one a second later");
            is(scalar keys %seen, 2, "$by: seen by both workers");
        }
    };
}

end_all('with a helper');
change_config('with a helper');
end_all('the helper hangs', sub { $t->signal('helper', 'STOP') });
$t->signal('helper', 'CONT');
$t->wait_for(sub { $t->value(q(SELECT count(*) FROM pg_stat_activity WHERE usename = 'portal_helper')) });
end_all('the helper\'s line to PostgreSQL is cut', sub {
    $t->db->do(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'portal_helper')) });
end_all('the helper is killed', sub { $t->stop('helper', 'KILL') });
change_config('without a helper');
$t->done;
