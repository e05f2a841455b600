# README.md documents all there is, and what it shows works as it stands but for this machine's paths and ids.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my ($root, $build, $dir) = (PortalTest::root(), PortalTest::build(), $t->dir);
my $readme = PortalTest::slurp("$root/README.md");
utf8::decode($readme) unless utf8::is_utf8($readme);

# the fenced blocks: language, "http" or "server" after it, text, line
my @blocks;
while ($readme =~ /^```(\w*)(?: (\w+))?\n(.*?)^```$/msg) {
    my ($language, $place, $text, $start) = ($1, $2 // '', $3, $-[0]);
    push @blocks, { language => $language, place => $place, text => $text,
        line => 1 + (substr($readme, 0, $start) =~ tr/\n//) };
}
sub blocks { my ($language) = @_; grep { $_->{language} eq $language } @blocks }
sub unknown { my ($known, @shown) = @_; my %known = map { $_ => 1 } @$known; [grep { !$known{$_} } @shown] }
# a command line of the README, for this machine; (exit code, output)
sub shell {
    my ($name, $command) = @_;
    local $ENV{PATH} = "$build:$ENV{PATH}";
    local $ENV{PORTAL_CONFIG} = "$dir/portal.toml";
    return $t->run($name, 'bash', '-c', "export PORTAL_CONFIG=$dir/portal.toml; cd $root; $command");
}

subtest 'every directive has its section' => sub {
    my @directives = slurp("$root/ngx_portal_module/directives.cpp") =~ /\{ ngx_string\("(portal_\w+)"\),/g;
    cmp_ok(scalar @directives, '>=', 15, 'directives found');
    for my $name (@directives) {
        my ($section) = $readme =~ /^### \Q$name\E\n(.*?)(?=^###? )/ms;
        ok($section, $name) or next;
        like($section, qr/^    Syntax:  \Q$name\E[ ;].*^    Default: .*^    Context: /ms, '  syntax, default, context');
        like($section, qr/^```nginx.*?(?:^|\{)\s*\Q$name\E[ ;].*?^```$/ms, '  an example');
    }
    is_deeply(unknown(\@directives, $readme =~ /^### (portal_\w+)$/mg), [], 'and no other');
};

subtest 'every variable is in the table' => sub {
    my @variables = slurp("$root/ngx_portal_module/variables.cpp") =~ /\{ ngx_string\("(portal_\w+)"\), nullptr/g;
    cmp_ok(scalar @variables, '>=', 8, 'variables found');
    like($readme, qr/^\| `\$\Q$_\E` \| \S/m, "\$$_") for @variables;
    is_deeply(unknown(\@variables, $readme =~ /^\| `\$(portal_\w+)`/mg), [], 'and no other');
};

subtest 'every route is in the table' => sub {
    my $same = sub { my ($route) = @_; lc($route) =~ s/\{\w+\}/{}/gr =~ s{/(?:\?.*)?$}{}r };
    my @shown = map { $same->($_) } $readme =~ m{^\| `([A-Z]+ /api/\S+)` \|}mg;
    my @routes = map { slurp($_) =~ m/^    \{(?:get|post|patch|put|del), "[^"]+"/mg } glob "$root/src/api/*.cpp";
    cmp_ok(scalar @routes, '>=', 10, 'routes found');
    s/^    \{(\w+), "([^"]+)"$/$same->(($1 eq 'del' ? 'delete' : $1) . " $2")/e for @routes;
    is_deeply(unknown(\@shown, @routes), [], 'all of them');
    is_deeply(unknown(\@routes, @shown), [], 'and no other');
};

subtest 'every verb of portalctl is in the table, and its example is one' => sub {
    my $verbs_below = sub {
        my ($code, $help) = $t->ctl_run(@_, '--help');
        is($code, 0, join ' ', 'portalctl', @_, '--help');
        my ($list) = $help =~ /^Subcommands:\n(.*?)(?:\n\n|\z)/ms;
        return ($list // '') =~ /^  ([a-z][\w-]*)/mg;
    };
    my @verbs;
    for my $verb ($verbs_below->()) {
        my @below = $verbs_below->($verb);
        push @verbs, @below ? map { "$verb $_" } @below : $verb;
    }
    cmp_ok(scalar @verbs, '>=', 20, 'verbs found');
    my @shown = $readme =~ /^\| `portalctl ([^`]+)` \|/mg;
    is_deeply(unknown(\@shown, @verbs), [], 'all of them');
    is_deeply(unknown(\@verbs, @shown), [], 'and no other');

    $t->write_file('webhook.secret', 'whsec_' . 'A' x 32 . "\n");
    # in the table's order: a workspace is made before it is shown
    while ($readme =~ /^\| `(portalctl [^`]+)` \| \S.* \| `\1(.*)` \|$/mg) {
        my $example = "$1$2";
        my $endless = $example =~ / (?:webhook listen|events tail)\b/;
        my ($code, $output) = shell('ctl', ($endless ? 'timeout 1 ' : '') . $example =~ s{/etc/\S+/}{$dir/}r =~ s{> \S+}{> $dir/out}r =~ s{/secret$}{/secret.new}r);
        my $there = $example !~ / (?:show|revoke|update|remove|set|download|pay|payment) .*[0-9a-f]{8}-|webhook (?:secret|test|redeliver|delete) |team_1|file-session create/;    # ids and people of another installation
        is($code, $endless ? 124 : $there ? 0 : 1, $example) or diag $output;
        if ($example =~ / secret (?:rotate|promote|retire)/) { $t->reload; $t->restart('helper') }    # as it tells
    }
    is(scalar(() = $readme =~ /^\| `(portalctl [^`]+)` \| \S.* \| `\1.*` \|$/mg), scalar @verbs, 'each has an example');
};

subtest 'curl examples' => sub {
    my $workspace = $t->workspace(slug => 'readme', member_model => 1);
    my $token = $t->token($workspace);
    $t->customer($workspace, external_id => 'cus_1');
    my $session = $t->session($t->member($t->customer($workspace, type => 'team')));
    $t->contact($workspace, id => 1);
    $t->company($workspace, id => 1);
    my $link = json_of($t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => $t->contact($workspace, id => 99)->{id} }))->{token};
    $t->write_file('.curlrc', qq(silent\nshow-error\nno-include\noutput = "$dir/answer"\nwrite-out = "%{http_code}\\n"\n));
    my ($settings) = map { $_->{text} } grep { $_->{text} =~ /^auth=/m } blocks('sh');
    $settings =~ s{^URL=.*}{"URL=" . $t->base_url}me;
    for my $block (grep { $_->{text} =~ /^curl .*\$URL/m } blocks('sh')) {
        my $curls = () = $block->{text} =~ /^curl /mg;
        my ($code, $output) = shell('curl', "export CURL_HOME=$dir; TOKEN=$token; export SESSION=$session; export PORTAL_TOKEN=$link; $settings\n$block->{text}");
        my @statuses = split ' ', $output;
        is(scalar @statuses, $curls, "line $block->{line}: answers") or diag $output;
        # who is not here: a session, an invitation, a member
        is_deeply([grep { !/^(?:20[0124])$/ && !($_ == 404 && $block->{text} =~ m{sessions/\w|invitations/|members/})
            && !($_ == 422 && $block->{text} =~ /member-sessions/) } @statuses], [], "line $block->{line}: as told");
    }
};

# The secret of the test, certificates of its own, no port: everything else as it stands.
sub adapted {
    my ($text) = @_;
    $text =~ s{/etc/portal/secret}{$dir/secret}g;
    $text =~ s{^(\s*listen\s+)[^;]*;}{$1unix:$dir/listen.sock;}mg;
    $text =~ s{^(\s*ssl_certificate\s+)[^;]*;}{$1$dir/site.pem;}mg;
    $text =~ s{^(\s*ssl_certificate_key\s+)[^;]*;}{$1$dir/site.key;}mg;
    $text =~ s{^load_module [^;]*;}{load_module $build/ngx_portal_module.so;}mg;
    return $text;
}
# A whole configuration around a part of http {} or server {}.
sub around {
    my ($place, $text) = @_;
    my %needed = (portal_zone => 'portal:5m', portal_postgres => '"host=/run/postgresql dbname=portal"',
        portal_secret_file => "$dir/secret", portal_base_url => 'https://portal.example.com', portal_page_files => "$build/page");
    my $needed = join '', map { $text =~ /^\s*$_ /m ? '' : "$_ $needed{$_};\n" } sort keys %needed;
    my $http = $place eq 'http' ? $text : '';
    my $server = $place eq 'server' ? $text : 'location / { portal_api; }';
    $server = $http =~ /^\s*server\s*\{/m ? '' : "server { listen unix:$dir/listen.sock; $server }";
    return "load_module $build/ngx_portal_module.so;\nevents { }\nhttp {\n$needed$http\n$server\n}\n";
}
sub is_accepted {
    my ($text, $place, $name) = @_;
    my $conf = adapted($text);
    $conf = around($place, $conf) if $place;
    my ($code, $output) = $t->nginx_test("pid $dir/test.pid;\n$conf");
    is($code, 0, $name) or diag $output, $conf;
}

subtest 'nginx configurations' => sub {
    my ($code, $output) = $t->run('openssl', qw(openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost),
        '-keyout', "$dir/site.key", '-out', "$dir/site.pem");
    is($code, 0, 'a certificate') or diag $output;
    is(system('bash', "$root/src/web/build", "$build/page"), 0, 'the page is built');
    $t->write_file('portal_proxy.conf', slurp("$root/conf/portal_proxy.conf"));
    for my $block (blocks('nginx')) {
        like($block->{place}, qr/^(?:http|server)$/, "line $block->{line} says where it belongs");
        is_accepted($block->{text}, $block->{place}, "line $block->{line}");
    }
    is_accepted(slurp("$root/conf/nginx/minimal.conf"), '', 'conf/nginx/minimal.conf');
    my $site = slurp("$root/conf/nginx/site.conf") =~ s/host=db1,db2/host=127.0.0.1,127.0.0.2/r;    # no names here
    is_accepted($site, 'http', 'conf/nginx/site.conf');
    my $upstream = "upstream site { server 127.0.0.1:1; }\n";
    is_accepted($upstream . "server {\n" . slurp("$root/conf/nginx/guarded.conf") . '}', 'http', 'conf/nginx/guarded.conf');
};

subtest 'the configuration of portal-helper' => sub {
    my ($toml) = map { $_->{text} } blocks('toml');
    for my $text ($toml, slurp("$root/conf/portal.toml")) {
        $t->write_file('readme.toml', qq(secret_file = "$dir/secret"\ntemplates = "$root/conf/mail"\n$text));
        my ($code, $output) = $t->run('helper', "$build/portal-helper", '--check', '--config', "$dir/readme.toml");
        is($code, 0, 'is accepted') or diag $output;
    }
};

subtest 'shell commands' => sub {
    for my $block (blocks('sh')) {
        $t->write_file('block.sh', $block->{text});
        my ($code, $output) = $t->run('bash', 'bash', '-n', "$dir/block.sh");
        is($code . $output, '0', "line $block->{line} is well-formed");
    }
};

subtest 'paths and links' => sub {
    my %path = map { s/[.,:]+$//r => 1 } $readme =~ m{(?<![\w/.~-])((?:conf|t|src|ngx_portal_module)/[\w./-]*)}g;
    cmp_ok(scalar keys %path, '>=', 10, 'paths found');
    ok(-e "$root/$_", $_) for sort keys %path;
    my @tests = map { s/`//gr } slurp("$root/SECURITY.md") =~ m{`t/[\w./]+`}g;
    cmp_ok(scalar @tests, '>=', 30, 'SECURITY.md names tests');
    is_deeply([grep { !-e "$root/$_" } @tests], [], 'which are there');
    my %anchor = map { lc =~ s/[^\w -]//gr =~ tr/ /-/r => 1 } $readme =~ /^#+ (.*)$/mg;
    ok($anchor{$_}, "#$_") for $readme =~ /\]\(#([^)]+)\)/g;
};

$t->done;
