# nginx -t: a bad value or a missing directive is told with file, line and a sentence that helps, and nothing is asked.
use strict; use warnings; use utf8;
use Test::More;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my $dir = $t->dir;

# what a working configuration says, by directive; a case changes some of it
my %good = (
    portal_zone        => 'portal:8m',
    portal_postgres    => '"host=127.0.0.1 port=%%PGPORT%% dbname=portal user=portal_web"',
    portal_redis       => 'redis://127.0.0.1:%%REDISPORT%%',
    portal_helper      => 'unix:%%DIR%%/no-helper.sock',
    portal_secret_file => '%%DIR%%/secret',
    portal_base_url    => 'https://portal.example.com',
);
my $api = 'location /api/ { portal_api; }';

# Runs nginx -t. http: directives to add, change or (undef) leave out; location: lines in the server.
sub nginx_test {
    my (%case) = @_;
    my %http = (%good, %{ $case{http} // {} });
    my @http = map { my $name = $_; map { "    $name $_;" } ref $http{$name} ? @{ $http{$name} } : $http{$name} }
        grep { defined $http{$_} } sort keys %http;
    $t->{option}{conf} = join "\n", 'daemon off;', 'user root;', 'pid %%DIR%%/test.pid;', 'error_log %%DIR%%/test.log;',
        'load_module %%BUILD%%/ngx_portal_module.so;', 'events { }', 'http {', '    access_log off;',
        (map { "    ${_}_temp_path %%DIR%%/tmp/$_;" } qw(client_body proxy fastcgi uwsgi scgi)), @http, '    server {',
        '        listen 127.0.0.1:%%PORT%%;', $case{location} // "        $api", '    }', '}', '';
    my ($code, $out) = $t->nginx_test;
    return ($code, $out, $t->nginx_conf);
}

sub good {
    my ($name, %case) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($code, $out) = nginx_test(%case);
    is($code, 0, $name) or diag $out;
}

# `at`: a piece of the line that is to be named; without it any line of the file will do
sub bad {
    my ($name, $words, $at, %case) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    subtest $name => sub {
        my ($code, $out, $conf) = nginx_test(%case);
        isnt($code, 0, 'refused');
        like($out, $words, 'says why');
        like($out, qr{\[emerg\].* in \Q$dir\E/test\.conf:\d+$}m, 'names file and line');
        if (defined $at) {
            my ($told) = $out =~ m{\[emerg\].*test\.conf:(\d+)$}m;
            my @lines = split /\n/, $conf;
            my ($line) = grep { $lines[$_ - 1] =~ /\Q$at/ } 1 .. @lines;
            is($told, $line, "the line of $at");
        }
        unlike($out, qr/\[(?:alert|crit)\]/, 'no accident');
    };
}
sub http     { my ($directive, $value) = @_; http => { $directive => $value } }
sub location { my (@lines) = @_; location => join "\n", map { "        $_" } @lines }

subtest 'good ones' => sub {
    good('the usual');
    good('the least', http => { portal_redis => undef, portal_helper => undef });
    good('nothing of ours used, nothing needed', http => { map { $_ => undef } keys %good }, location => '');
    good('everything', http => {
        portal_zone => 'other:16m', portal_postgres => "$good{portal_postgres} lookup=2 connections=8",
        portal_redis => "$good{portal_redis} budget=100ms", portal_token_prefix => 'acme_', portal_stale => '0',
        portal_cache => '10s', portal_body_limit => '128k', portal_invite_wait => '3s',
        portal_cors_credentials => 'https://app.example.com http://localhost:3000', portal_logo_root => $dir,
        portal_frame_ancestors => 'https://shop.example.com https://*.example.org:8443', portal_login_by_address => 'on',
        portal_rate_limit_class => ['client-portal 100 60s', 'bad-token 5 1m', 'code-send 20 1h', 'code-mail 3 1h', 'code-try 20 1h', 'member-mail 50 1h'],
        portal_rate_limit_on_error => ['default deny', 'mail allow'],
    }, location(
        'location /api/ { portal_api sessions portal client-portal management; }',
        'location /a/ { portal_auth customer member workspace portal; portal_workspace acme; }',
        'location /b/ { portal_auth any; portal_workspace any; portal_rate_limit 5 1s; portal_rate_limit 50 60s name=slow key=address; }',
        'location ~ ^/c/(?<slug>[a-z]+)/ { portal_auth workspace scope=client_portal:read; portal_workspace $slug; }',
        'location /d/ { portal_auth off; portal_rate_limit off; }',
        'location /e/ { portal_rate_limit 10 1d key=customer name=day on_error=deny; portal_login_by_address off; }',
        'portal_login_by_address on;'));
    good('a unix socket of Redis', http(portal_redis => 'unix:/run/redis.sock?db=2'));
    good('base URLs', http(portal_base_url => $_)) for 'http://127.0.0.1:8080', 'http://localhost/', 'http://[::1]:80',
        'https://portal.example.com/below/';
    good('inherited from http and server', http => { portal_auth => 'customer', portal_workspace => 'acme',
        portal_rate_limit => '5 1s' }, location('portal_workspace other;', 'location / { portal_auth member; }'));
};

subtest 'what is missing' => sub {
    for my $used ($api, 'location / { portal_auth any; portal_workspace any; }', 'location / { portal_rate_limit 5 1s; }') {
        bad("$_ for $used", qr/"$_" is needed in http/, undef, http => { $_ => undef }, location($used))
            for qw(portal_zone portal_postgres portal_secret_file portal_base_url);
    }
    bad('portal_workspace', qr/"portal_auth" needs "portal_workspace": a slug, a variable, or "any"/, undef,
        location('location / { portal_auth customer; }'));
    bad('which health', qr/invalid parameter "well" in "portal_health", expected "live" or "ready"/, 'portal_health', location('location = /health { portal_health well; }'));
    bad('content twice', qr/has its content from elsewhere already/, 'portal_metrics', location('location = /metrics { proxy_pass http://127.0.0.1:1;', 'portal_metrics; }'));
    bad('whom to let in', qr/whom to let in/, 'scope=', location('location / { portal_workspace any; portal_auth scope=client_portal:read; }'));
};

subtest 'given twice' => sub {
    for my $name (qw(portal_zone portal_postgres portal_redis portal_helper portal_secret_file portal_base_url)) {
        bad($name, qr/"$name" directive is duplicate/, undef, http => { $name => [($good{$name}) x 2] });
    }
    my %value = (portal_token_prefix => 'a_', portal_stale => '1s', portal_cache => '1s', portal_body_limit => '1k',
        portal_invite_wait => '1s', portal_frame_ancestors => 'https://a.example.com', portal_login_by_address => 'on', portal_cors_credentials => 'https://a.example.com', portal_logo_root => $dir, portal_page_files => $dir, portal_page_overrides => $dir);
    bad($_, qr/"$_" directive is duplicate/, undef, http => { $_ => [($value{$_}) x 2] }) for sort keys %value;
    bad($_, qr/"\S+" directive is duplicate/, $_, location("location / { portal_workspace any; $_ }")) for
        'portal_workspace any;', 'portal_auth any; portal_auth member;', 'portal_api; portal_api sessions;', 'portal_page; portal_page;',
        'portal_rate_limit off; portal_rate_limit off;', 'portal_rate_limit 5 1s; portal_rate_limit off;';
    bad('a limit where it is off', qr/is off here already/, 'rate_limit off;', location('location / { portal_rate_limit off; portal_rate_limit 5 1s; }'));
};

subtest 'the page' => sub {
    mkdir "$dir/page"; mkdir "$dir/page/$_" for qw(messages assets .vite);
    $t->write_file("page/$_->[0]", $_->[1]) for ['messages/en.json', '{}'], ['messages/de.json', '{}'], ['page.html', '<p>'],
        ['.vite/manifest.json', '{"page/main.tsx":{"file":"assets/a.js"}}'], ['assets/a.js', ''];
    good('its files', http => { portal_page_files => "$dir/page" }, location => 'location / { portal_page; portal_workspace any; }');
    $t->write_file('page/page.html', '{{#open}}');
    bad('a broken template', qr{\Q$dir/page/page.html\E: \S}, undef, http => { portal_page_files => "$dir/page" }, location => 'location / { portal_page; portal_workspace any; }');
    $t->write_file('page/page.html', '<p>');
    bad('no files', qr{"portal_page" cannot use "portal_page_files" "\Q$dir\E" .*\Q$dir/messages/en.json\E}, undef,
        http => { portal_page_files => $dir }, location => 'location / { portal_page; portal_workspace any; }');
    bad('no workspace', qr/"portal_page" needs "portal_workspace"/, undef, http => { portal_page_files => "$dir/page" }, location => 'location / { portal_page; }');
    bad('an argument', qr/invalid number of arguments/, 'portal_page on;', location => 'location / { portal_page on; portal_workspace any; }');
    good('files nobody needs', http => { portal_page_files => "$dir/none" });
};

subtest 'bad values' => sub {
    my @number = (qr/invalid number of arguments/);
    my @cases = (
        [portal_zone => 'portal', qr/must be "name:size"/], [portal_zone => ':8m', qr/must be "name:size"/],
        [portal_zone => 'portal:', qr/invalid size/], [portal_zone => 'portal:much', qr/invalid size "much" of zone "portal"/],
        [portal_zone => 'portal:1m', qr/too small/], [portal_zone => 'portal:8m x', @number],
        [portal_postgres => "$good{portal_postgres} lookup=0", qr/"lookup=0".*expected.*lookup=1\.\.16/],
        [portal_postgres => "$good{portal_postgres} lookup=x", qr/"lookup=x"/],
        [portal_postgres => "$good{portal_postgres} connections=65", qr/"connections=65".*connections=1\.\.64/],
        [portal_postgres => "$good{portal_postgres} fast", qr/"fast"/],
        [portal_postgres => '', @number],
        [portal_redis => "$good{portal_redis} 5s", qr/"5s".*budget=TIME/],
        [portal_redis => "$good{portal_redis} budget=5ms", qr/10ms to 10s/],
        [portal_redis => "$good{portal_redis} budget=1m", qr/10ms to 10s/],
        [portal_redis => "$good{portal_redis} budget=soon", qr/"budget=soon"/],
        [portal_stale => 'long', qr/"portal_stale" directive invalid value/], [portal_stale => '-1', qr/invalid value/],
        [portal_cache => 'long', qr/"portal_cache" directive invalid value/],
        [portal_body_limit => 'big', qr/"portal_body_limit" directive invalid value/],
        [portal_invite_wait => 'x', qr/"portal_invite_wait" directive invalid value/],
        [portal_cors_credentials => 'app.example.com', qr/"app\.example\.com".*an origin like/],
        [portal_cors_credentials => 'https://a.example.com/path', qr/an origin like/],
        (map { [portal_frame_ancestors => $_, qr/an origin like "https:/] } 'shop.example.com', 'https://a.example.com/path', 'https://',
            '"https://a.example.com; script-src *"', '"\'self\'"', '://a'),
        [portal_frame_ancestors => '', @number], [portal_login_by_address => 'maybe', qr/invalid value "maybe".*"on" or "off"/],
        [portal_rate_limit_class => 'fast 60 60s', qr/"fast".*"bad-token", "restricted", "client-portal", "default", "code-send", "code-mail", "code-try", "mail" or "member-mail"/],
        [portal_rate_limit_class => 'client-portal 0 60s', qr/"0".*1 to 10000000 per 1s to 1d/],
        [portal_rate_limit_class => 'client-portal 60 0', qr/1 to 10000000 per 1s to 1d/],
        [portal_rate_limit_class => 'client-portal many 60s', qr/"many"/],
        [portal_rate_limit_class => 'client-portal 60', @number],
        [portal_rate_limit_on_error => 'fast deny', qr/"fast".*"client-portal"/],
        [portal_rate_limit_on_error => 'default maybe', qr/"maybe".*"allow" or "deny"/],
        [portal_helper => '/run/helper.sock', qr/"portal_helper".*unix:/],
        [portal_helper => 'unix:helper.sock', qr/"portal_helper".*unix:/],
        [portal_helper => 'unix:/' . 'x' x 110, qr/"portal_helper".*(?:too long|107)/],
        [portal_token_prefix => '"a b"', qr/"portal_token_prefix"/], [portal_token_prefix => '""', qr/"portal_token_prefix"/],
    );
    bad("$_->[0] " . substr($_->[1], -40), $_->[2], $_->[1] ? "$_->[0] " . $_->[1] =~ s/%%.*//r : $_->[0], http(@$_[0, 1])) for @cases;
};

# what is looked at when all of http {} is read
subtest 'values that need a second look' => sub {
    bad("portal_base_url $_->[0]", $_->[1], undef, http(portal_base_url => $_->[0])) for
        ['http://portal.example.com', qr/"portal_base_url": "http:\/\/portal\.example\.com" must be https/],
        ['portal.example.com', qr/is no URL like "https:/], ['https://', qr/is no URL like/],
        ['"https://a b"', qr/is no URL like/], ['https://a.example.com?x=1', qr/is no URL like/],
        ['https://user@a.example.com', qr/is no URL like/], ['ftp://a.example.com', qr/is no URL like/];
    bad('portal_frame_ancestors over http', qr/"portal_frame_ancestors" needs an https "portal_base_url"/, undef,
        http => { portal_frame_ancestors => 'https://shop.example.com', portal_base_url => 'http://127.0.0.1:8080' });
    bad("portal_redis $_->[0]", $_->[1], undef, http(portal_redis => $_->[0])) for
        ['rediss://127.0.0.1', qr/"portal_redis": rediss:\/\/ \(TLS\) is not supported; use/],
        ['127.0.0.1:6379', qr/"portal_redis": a Redis URL is redis:/], ['redis://', qr/the host is missing/],
        ['redis://127.0.0.1:99999', qr/port "99999" is not a number/], ['redis://127.0.0.1/x', qr/database "x"/],
        ['redis://no.such.host.invalid', qr/"no\.such\.host\.invalid" cannot be resolved/],
        ['unix:relative', qr/absolute path/];
    bad("portal_postgres $_->[0]", $_->[1], undef, http(portal_postgres => $_->[0])) for
        ['"host=127.0.0.1 nonsense=1"', qr/"portal_postgres": .*nonsense/],
        ['"host=no.such.host.invalid"', qr/"no\.such\.host\.invalid" cannot be resolved/],
        ['nonsense', qr/"portal_postgres": /];
};

subtest 'the secret file' => sub {
    my ($id) = split ' ', PortalTest::slurp("$dir/secret") =~ s/^#.*\n//mgr;
    my $key = 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=';
    my %file = (
        empty => ['', qr/sign/], words => ["hello\n", qr/secret\.words/], state => ["k1 made $key\n", qr/made|state/i],
        short => ["k1 sign QUJD\n", qr/32|short/], base64 => ["k1 sign !!!!\n", qr/base64/],
        twice => ["k1 sign $key\nk2 sign $key\nl limiter $key\n", qr/sign/],
        unlimited => ["k1 sign $key\n", qr/limiter/],
    );
    for my $name (sort keys %file) {
        my ($text, $words) = @{ $file{$name} };
        chmod 0640, $t->write_file("secret.$name", $text);
        bad($name, qr/"portal_secret_file": .*$words/, undef, http(portal_secret_file => "$dir/secret.$name"));
        my (undef, $out) = nginx_test(http(portal_secret_file => "$dir/secret.$name"));
        unlike($out, qr/\Q$key\E|QUJD/, 'and no key is told');
    }
    bad('no such file', qr{cannot open "$dir/none".*"portalctl secret new" makes one}, undef, http(portal_secret_file => "$dir/none"));
    bad('a directory', qr{cannot read "$dir/html"}, undef, http(portal_secret_file => "$dir/html"));
    chmod 0644, $t->write_file('secret.open', PortalTest::slurp("$dir/secret"));
    my ($code, $out) = nginx_test(http(portal_secret_file => "$dir/secret.open"));
    is($code, 0, 'one that everybody can read is taken');
    like($out, qr/\[warn\].*can be read by everybody.*chmod 0640/, 'with a warning');
};

subtest 'bad values in locations' => sub {
    bad($_->[0], $_->[1], $_->[0], location("location / { portal_workspace any; $_->[0] }")) for
        ['portal_api everything;', qr/"everything".*"sessions", "portal", "client-portal" or "management"/],
        ['portal_auth everybody;', qr/"everybody".*"customer", "member", "workspace"/],
        ['portal_auth off customer;', qr/nothing after "off"/],
        ['portal_auth workspace scope=cooking:write;', qr/a known scope/], ['portal_auth workspace scope=;', qr/a known scope/],
        ['portal_auth;', qr/invalid number of arguments/],
        ['portal_rate_limit many 60s;', qr/"many".*"100 60s", or "off"/], ['portal_rate_limit 5;', qr/"100 60s"/],
        ['portal_rate_limit 5 1ms;', qr/"100 60s"/], ['portal_rate_limit 0 1s;', qr/"100 60s"/],
        ['portal_rate_limit 5 2d;', qr/1s to 1d/],
        ['portal_rate_limit 5 1s key=colour;', qr/"key=colour".*key=principal\|customer\|workspace\|address/],
        ['portal_rate_limit 5 1s name=;', qr/name=NAME/], ['portal_rate_limit 5 1s name=a,b;', qr/name=NAME/],
        ['portal_rate_limit 5 1s on_error=ignore;', qr/on_error=allow\|deny/],
        ['portal_rate_limit 5 1s; portal_rate_limit 5 1s key=address;', qr/the name "site-5-1s" is given twice here/],
        ['portal_rate_limit 5 1s name=client-portal;', qr/name of a class of the API/],
        ['portal_rate_limit 5 1s name=a; ' . join(' ', map { "portal_rate_limit 5 1s name=b$_;" } 1 .. 4), qr/more than four times/];
    bad('a workspace of nothing', qr/a slug, a variable, or "any"/, 'portal_workspace "";',
        location('location / { portal_workspace ""; portal_auth any; }'));
    # nginx's own words, without a line
    my ($code, $out) = nginx_test(location('location / { portal_workspace $nobody_knows; portal_auth any; }'));
    isnt($code, 0, 'a variable nobody knows');
    like($out, qr/\[emerg\] unknown "nobody_knows" variable/, 'is named');
    bad('portal_api in a server', qr/"portal_api" directive is not allowed here/, 'portal_api;', location('portal_api;'));
    bad("$_ in a server", qr/"$_" directive is not allowed here/, "$_ 1s;", location("$_ 1s;")) for qw(portal_zone portal_stale);
};

# servers that would notice
subtest 'nobody is connected to' => sub {
    my @listeners = ((map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $t->free_port, Listen => 5) } 1 .. 2),
        IO::Socket::UNIX->new(Local => "$dir/listener.sock", Listen => 5));
    good('nginx -t', http => { portal_postgres => '"host=127.0.0.1 port=' . $listeners[0]->sockport . ' dbname=x"',
        portal_redis => 'redis://127.0.0.1:' . $listeners[1]->sockport, portal_helper => "unix:$dir/listener.sock" });
    is(scalar(() = IO::Select->new(@listeners)->can_read(0.3)), 0, 'no connection came');
    good('with all of them gone', http => { portal_postgres => '"host=/nowhere dbname=x"',
        portal_redis => 'unix:/nowhere.sock', portal_helper => 'unix:/nowhere.sock' });
};

$t->done;
