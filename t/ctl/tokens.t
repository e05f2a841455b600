# portalctl token create|list|revoke
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my @where = ('--workspace', $ws->{slug});

my (undef, undef, $text) = $t->ctl_run(qw(token create), @where, '--scope', 'client_portal:read', '--scope',
    'customers:write,webhooks:read', '--comment', 'ci', '--json');
my $made = json_of($text);
is_deeply([keys_of($text)], [qw(workspace_access_token token)]);
is_deeply([keys_of($text, 'workspace_access_token')],
    [qw(id created_at modified_at workspace_id scopes comment expires_at last_used_at revoked_at)]);
like($made->{token}, qr/^portal_oat_[A-Za-z0-9_-]{48}$/);
is_deeply($made->{workspace_access_token}{scopes}, [qw(client_portal:read customers:write webhooks:read)]);
is($made->{workspace_access_token}{workspace_id}, $ws->{id});
is($made->{workspace_access_token}{expires_at}, undef);

my $row = $t->row('SELECT * FROM portal.workspace_access_tokens WHERE id = ?', $made->{workspace_access_token}{id});
like($row->{token_hash}, qr/^[0-9a-f]{64}$/);
unlike(join(' ', map { $_ // '' } values %$row), qr/\Q$made->{token}\E/, 'only its hash is stored');

my $brief = $t->ctl(qw(token create), @where, qw(--scope client_portal:read --expires-in 2h))->{workspace_access_token};
is($t->value("SELECT extract(epoch FROM expires_at - date_trunc('second', created_at)) FROM portal.workspace_access_tokens WHERE id = ?",
    $brief->{id}), '7200.000000', '--expires-in');
like($brief->{expires_at}, qr/:\d\dZ$/, 'in whole seconds');

for my $case ([1, qr/scopes\.0: Input should be 'customer_sessions:write', /, '--scope', 'nonsense:read'],
    [1, qr/scopes\.0: Input should be /, '--scope', 'customer_portal:write'], [2, qr/--scope/],
    [1, qr/comment: String should have at most 256/, '--scope', 'customers:read', '--comment', 'x' x 257],
    [1, qr/expires_in: /, '--scope', 'customers:read', '--expires-in', '0'],
    [2, qr/--expires-in: is to be like/, '--scope', 'customers:read', '--expires-in', '-1'],
    [2, qr/--expires-in: is to be like/, '--scope', 'customers:read', '--expires-in', '3 fortnights']) {
    my ($code, $pattern, @arguments) = @$case;
    my ($got, $both) = $t->ctl_run(qw(token create), @where, @arguments);
    is($got, $code, "@arguments") or diag $both;
    like($both, $pattern);
}
like(($t->ctl_run(qw(token create --workspace nobody --scope customers:read)))[1], qr/Workspace not found/);

my (undef, undef, $shown) = $t->ctl_run(qw(token create), @where, qw(--scope client_portal:read));
like($shown, qr/^The token, shown only now:\nportal_oat_\S+$/m, 'for people');

is(scalar @{ $t->ctl(qw(token list), @where)->{data} }, 3);
is($t->ctl(qw(token list --workspace), $other->{slug})->{meta}{total}, 0, 'another workspace has none');

my $id = $made->{workspace_access_token}{id};
my ($code, $both) = $t->ctl_run(qw(token revoke), $id, '--workspace', $other->{slug});
is($code, 1, 'a foreign token');
like($both, qr/Not found/);
my $revoked = $t->ctl(qw(token revoke), $id, @where);
ok($revoked->{revoked_at}, 'revoked');
is($t->ctl(qw(token revoke), $id, @where)->{revoked_at}, $revoked->{revoked_at}, 'twice keeps the first time');
($code) = $t->ctl_run(qw(token revoke nonsense), @where);
is($code, 1, 'no id');
is($t->ctl(qw(token list), @where)->{meta}{total}, 2, 'no longer in the list');
is($t->ctl(qw(token list --all), @where)->{meta}{total}, 3, 'but with --all');
unlike(($t->ctl_run(qw(token list --all), @where))[1], qr/\Q$row->{token_hash}\E/, 'hashes are not shown');

$t->done;
