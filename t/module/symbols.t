# The shared object: what it exports, what it was built for, and that it lives beside other modules.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $module = PortalTest::build() . '/ngx_portal_module.so';

subtest 'only the three symbols nginx looks up' => sub {
    my @exported = map { (split)[2] } grep { !/ [A-Z] .*@@?GLIBC/ } split /\n/, `nm -D --defined-only '$module'`;
    is_deeply([sort @exported], [qw(ngx_module_names ngx_module_order ngx_modules)], 'exported');
    like(`nm -D --undefined-only '$module'`, qr/ U ngx_http_finalize_request$/m, 'nginx\'s own are taken from nginx');
    unlike(`nm -D '$module'`, qr/ [Uuwv] redis/i, 'no hiredis of somebody else');
    unlike(`readelf -d '$module'`, qr/NEEDED.*(?:hiredis|libuv|libcurl)/, 'nor a library a worker does not need');
    unlike(`nm -D '$module'`, qr/ u /, 'nothing that keeps it from being unloaded');
};

subtest 'built for this nginx' => sub {
    my ($binary) = grep { -x } '/usr/sbin/nginx';
    my ($theirs, $ours) = map { (`strings -n 20 '$_'` =~ /^(\d+,\d+,\d+,[01]{20,})$/m)[0] } $binary, $module;
    like($theirs, qr/^8,4,8,/, 'nginx has a signature');
    is($ours, $theirs, 'and the module the same');
};

# other modules bring a Redis client and symbols of their own: ours is unaffected, loaded before or after
my @others = grep { -e } map { "/usr/lib/nginx/modules/$_" } qw(ndk_http_module.so ngx_http_lua_module.so ngx_nchan_module.so);
is(scalar @others, 3, 'libnginx-mod-nchan and libnginx-mod-http-lua are installed') or diag 'apt-get install libnginx-mod-nchan libnginx-mod-http-lua';
for my $order ('before', 'after') {
    my @load = map { "load_module $_;" } @others;
    my $t = PortalTest->new(nginx => 0, location => <<'NGINX');
        location /lua { access_by_lua_block { ngx.ctx.seen = true } content_by_lua_block { ngx.say("lua ", tostring(ngx.var.portal_request_id ~= nil)) } }
        location /guarded { portal_workspace any; portal_auth any; content_by_lua_block { ngx.say("for ", ngx.var.portal_principal) } }
        location = /sub { nchan_subscriber; nchan_channel_id x; }
NGINX
    # our module's line is the template's own; the others go to either side of it
    my $text = $t->nginx_conf;
    my ($line) = $text =~ /^(load_module .*ngx_portal_module\.so;)$/m;
    my $others = join "\n", @load;
    $t->{option}{conf} = $order eq 'before' ? $text =~ s/\Q$line\E/$line\n$others/r : $text =~ s/\Q$line\E/$others\n$line/r;
    $t->start('nginx');
    my $ws = $t->workspace;
    my $token = $t->token($ws);
    my $response = $t->get('/api/v1/client-portal/config', token => $token);
    is_status($response, 200, "loaded $order the others");
    is($response->header('X-RateLimit-Remaining'), 59, 'counted');
    cmp_ok(scalar($t->redis->dbsize), '>', 0, 'in Redis, by our own client');
    like($t->get('/lua')->content, qr/^lua true/, 'Lua works beside it');
    is($t->get('/guarded', token => $token)->content, "for workspace:$ws->{id}\n", 'and behind it');
    is_status($t->get('/guarded'), 401, 'guarded');
    $t->reload;
    is_status($t->get('/api/v1/client-portal/config', token => $token), 200, 'after a reload');
    $t->{part} = 1;
    $t->done;
}

done_testing;
