# README.md, "Install on Debian 12", followed to the letter in a bare Debian 12 whose stock nginx serves a static site; then
# an upgrade under load, and a purge.
#
# The packages are made of what bash t/run has built; `bash t/run --long` builds them in the bare system, too, as the README
# says. There is no systemd running in it: what systemctl is told to do is done by Debian's own init scripts. Packages of
# sanitizers are not made: a stock nginx could not load the module.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use BareDebian;

plan skip_all => 'it is about packages, which have no sanitizers' if PortalTest::asan();
my $t = PortalTest->new(nginx => 0, helper => 0, redis => 0);
my $root = PortalTest::root();
# the blocks of each numbered step, and of what follows, by their language
my ($readme) = slurp("$root/README.md") =~ /^## Install on Debian 12\n(.*?)^### Behind a load balancer/ms;
my ($upgrading) = slurp("$root/README.md") =~ /^### Upgrading\n(.*?)^### /ms;
my %step = $readme =~ /^### (\d)\. [^\n]*\n(.*?)(?=^### |\z)/msg;
sub block {
    my ($text, $language, $nth) = @_;
    my @blocks = $text =~ /^```\Q$language\E\n(.*?)^```$/msg;
    # its host is this one
    return ($blocks[$nth // 0] // die "no block $language") =~ s{https://portal\.example\.com}{http://127.0.0.1}gr;
}

my $debian;
# what has to work; `in` the checkout if need be
sub works {
    my ($name, $script, %option) = @_;
    my ($code, $output) = $debian->run($script, %option);
    is($code, 0, $name) or do { diag substr $output, -4000; die "$name\n" };
    return $output;
}
# apt's commands: what they download first, since what they start is to be in our network
sub installs {
    my ($name, $script, %option) = @_;
    works("$name: downloads", $script =~ s/^apt-get install/$& -d/mgr, %option, online => 1);
    works($name, $script, %option);
}
sub at { my ($path, @more) = @_; ($t->run('curl', $debian->in_network, qw(curl -s --max-time 10), @more, "http://127.0.0.1$path"))[2] }
sub status { my ($path, @more) = @_; at($path, qw(-o /dev/null -w %{http_code}), @more) }
sub edit {
    my ($path, $change) = @_;
    local $_ = $debian->read_file($path);
    $change->();
    $debian->write_file($path, $_);
}

sub begin {
    $debian = BareDebian->new($t->dir);
    my $systemctl = <<'SH';
#!/bin/bash -e
case "$*" in
    'reload nginx' | 'reload postgresql') invoke-rc.d "$2" "$1" ;;
    'enable --now redis-server portal-helper')
        invoke-rc.d redis-server start
        systemd-tmpfiles --create portal-helper.conf
        unit() { sed -n "s/^$1=//p" /lib/systemd/system/portal-helper.service; }
        export "$(unit Environment)"
        as() { setpriv --reuid "$(unit User)" --regid "$(unit Group)" --groups "$(unit SupplementaryGroups)" "$@"; }
        as $(unit ExecStartPre)
        as setsid $(unit ExecStart) >/var/log/portal-helper.log 2>&1 &
        for i in {1..100}; do [[ ! -S /run/portal/helper.sock ]] || exit 0; sleep 0.1; done
        cat /var/log/portal-helper.log; exit 1 ;;
    *) echo "systemctl $*: not in README.md" >&2; exit 1 ;;
esac
SH
    $debian->write_file('/usr/local/bin/systemctl', $systemctl);
    # a mail server among it: that is ours
    $debian->write_file('/etc/apt/apt.conf.d/80recommends', qq(APT::Install-Recommends "false";\n));
    $debian->write_file('/usr/sbin/policy-rc.d', "#!/bin/sh\nexit 0\n");
    works('a stock system', 'chmod +x /usr/local/bin/systemctl /usr/sbin/policy-rc.d; apt-get -qq update', online => 1);
    installs('nginx', 'apt-get install -y nginx');
    $debian->write_file('/var/www/html/index.html', "the site\n");
    is(at('/'), "the site\n", 'serves a static site');
}

# as `dpkg-buildpackage` leaves them: beside the checkout
sub make_packages {
    if ($ENV{PORTAL_LONG}) {
        BareDebian::copy_checkout($debian->root . '/src/portal');
        works('they are built', block($step{1}, 'sh', 0), in => '/src/portal', online => 1, env => { PATH => '/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin' });
    } else {
        BareDebian::make_packages($debian->root . '/src/portal');
    }
}

subtest 'before' => \&begin;
subtest '1. packages' => sub {
    make_packages();
    installs('they are installed', block($step{1}, 'sh', 1), in => '/src/portal');
    works('nginx takes the module', 'nginx -t && dpkg -s libnginx-mod-portal | grep -q "^Status: install ok installed"');
};
subtest '2. database' => sub { works('done', block($step{2}, 'sh')) };
subtest '3. secret and configuration' => sub {
    works('the secret', block($step{3}, 'sh', 0));
    # the values that the README shows, in the file that explains them all
    edit('/etc/portal/portal.toml' => sub {
        for my $line (grep { / = / } split /\n/, block($step{3}, 'toml')) {
            my ($key) = $line =~ /^(\w+)/;
            s/^\Q$key\E = .*/$line/m or die "no $key\n";
        }
    });
    works('the schema', block($step{3}, 'sh', 1));
};
subtest '4. nginx' => sub {
    $debian->write_file('/etc/nginx/conf.d/portal.conf', block($step{4}, 'nginx http'));
    edit('/etc/nginx/sites-available/default' => sub { s/(?=^\tlocation \/ \{)/block($step{4}, 'nginx server')/me or die 'no server' });
    works('reloaded', block($step{4}, 'sh'));
    ok($t->wait_for(sub { status('/acme/portal') != 200 && at('/') eq "the site\n" }, 5), 'the site is still there');
};
subtest '5. the helper' => sub {
    $t->spawn('inside', [], $debian->in_network, '/usr/bin/python3', "$root/t/lib/smtp_catcher.py", '--port', 25,
        '--maildir', $t->dir . '/mail/box', '--mode-file', $t->dir . '/mail/mode');
    works('a mail server', 'for i in {1..100}; do ! exec 3<>/dev/tcp/127.0.0.1/25 || exit 0; sleep 0.1; done 2>/dev/null; exit 1');
    my $told = works('runs, and all is well', block($step{5}, 'sh'));
    unlike($told, qr/^FAIL/m, 'nothing failed') or diag $told;
};
my $token;
subtest '6. the first workspace' => sub {
    my @lines = split /\n/, block($step{6}, 'sh');
    my ($ask) = grep { /^curl/ } @lines;
    my $told = works('made', join "\n", grep { !/^curl/ } @lines);
    ($token) = $told =~ /(portal_oat_[\w-]{48})/ or die 'no token';
    like(at('/api/v1/client-portal/config', '-H', "Authorization: Bearer $token"), qr/"portal_name":"Client Portal"/, 'its token works');
    like($ask, qr{/api/v1/client-portal/config$}, 'as it is asked there');
    like(at('/acme/portal'), qr{/portal-assets/main-}, 'the page is there');
    my $session = '/api/customer-portal/customer-session';
    my ($challenge) = at("$session/request", '--json', '{"email":"mike@globex.example"}') =~ /"challenge_id":"([^"]+)"/;
    my $code = $t->login_code('mike@globex.example');
    like(at("$session/authenticate", '--json', qq({"code":"$code","challenge_id":"$challenge"})), qr/^\{"token":"portal_cst_/, 'Mike signs in by a mailed code');
    works('Ann is invited', 'portalctl invite contact 1 -w acme');
    my ($link) = map { $_->{text} =~ m{http://127\.0\.0\.1(/client-portal/\S+)} } $t->mails(2);
    is(status($link // '/none'), 200, 'and her link opens');
};

# a changed module in a package of a newer version
sub newer_packages {
    works('a newer version', <<'SH', in => '/src');
for old in *.deb; do
    dpkg-deb -R "$old" new
    sed -i 's/^Version: .*/&+next1/' new/DEBIAN/control
    sed -i 's/^\(Depends: .*\)(= \([^)]*\))/\1(= \2+next1)/' new/DEBIAN/control
    for module in new/usr/lib/nginx/modules/*.so; do
        [ ! -e "$module" ] || printf next >>"$module"
    done
    (cd new && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0r md5sum >DEBIAN/md5sums)
    rm "$old"
    dpkg-deb -b new "${old%_*}+next1_${old##*_}" >/dev/null
    rm -r new
done
SH
}

# {module that nginx has mapped, by its inode: how many processes have}
sub mapped {
    my %mapped;
    for my $process (glob '/proc/[0-9]*') {
        (readlink "$process/root" // '') eq $debian->root && (slurp("$process/comm") // '') eq "nginx\n" or next;
        my %inodes = map { $_ => 1 } (slurp("$process/maps") // '') =~ m{ (\d+) +/\S*/ngx_portal_module\.so}g;
        ++$mapped{$_} for keys %inodes;
    }
    return \%mapped;
}

subtest 'an upgrade under load' => sub {
    newer_packages();
    is(scalar keys %{ mapped() }, 1, 'one module is in use');
    # clients with and without connections that are kept, and one that takes its time over a body
    my $load = $t->spawn('load', [], $debian->in_network, '/usr/bin/python3', '-c', <<'PYTHON', $token, $t->dir . '/go-on');
import http.client, os, socket, sys, threading, time
token, flag = sys.argv[1:]
path, headers = '/api/v1/client-portal/config', {'Authorization': 'Bearer ' + token}
counts, over = {}, threading.Event()
def count(what): counts[what] = counts.get(what, 0) + 1
def client(kept):
    line = None
    while not over.is_set():
        try:
            fresh = line is None
            line = line or http.client.HTTPConnection('127.0.0.1', 80, timeout=10)
            line.request('GET', '/' if kept else path, headers=headers)
            answer = line.getresponse(); answer.read()
            count(answer.status)
            if not kept or answer.getheader('Connection') == 'close': line.close(); line = None
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            # a kept connection that the server closed while it was idle: any client asks again
            if fresh: count(repr(error))
            line.close(); line = None
        except Exception as error:
            count(repr(error)); line.close(); line = None
        time.sleep(0.01 if kept else 1)
def slow():
    body = b'{"type":"contact","id":1}'
    line = socket.create_connection(('127.0.0.1', 80))
    line.sendall(b'POST /api/v1/client-portal/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n'
        b'Authorization: Bearer ' + token.encode() + b'\r\nContent-Length: ' + str(len(body)).encode() + b'\r\n\r\n' + body[:9])
    while not os.path.exists(flag): time.sleep(0.05)
    line.sendall(body[9:])
    count('slow ' + line.makefile().readline().split()[1])
threads = [threading.Thread(target=client, args=(kept,)) for kept in (True, True, False)] + [threading.Thread(target=slow)]
for thread in threads: thread.start()
threads[-1].join(); time.sleep(1); over.set()
for thread in threads: thread.join()
for what in sorted(counts, key=str): print(what, counts[what])
PYTHON
    sleep 1;
    works('done', block($upgrading, 'sh') =~ s/^(?:rm|dpkg-buildpackage) .*\n//mgr, in => '/src/portal');
    ok($t->wait_for(sub { keys %{ mapped() } == 2 }, 5), 'old and new run side by side') or diag explain mapped();
    $t->write_file('go-on', '');
    waitpid $load, 0;
    delete $t->{pid}{load};
    my %count = $t->log_text('load.log') =~ /^(.*) (\d+)$/mg;
    note $t->log_text('load.log');
    is_deeply([sort keys %count], [200, 'slow 200'], 'no request failed') or diag $t->log_text('load.log');
    cmp_ok($count{200}, '>', 100, 'of many');
    ok($t->wait_for(sub { keys %{ mapped() } == 1 }, 10), 'and then the new one alone') or diag explain mapped();
    unlike($debian->read_file('/var/log/nginx/error.log'), qr/\[(?:alert|emerg)\]/, 'nothing to complain of');
};

subtest 'a purge' => sub {
    my ($purge) = $upgrading =~ /^`(apt-get purge [^`]*)`/m;
    works('the directives are taken out', 'rm /etc/nginx/conf.d/portal.conf; sed -i "/portal/,/^\tlocation \/ {/{/^\tlocation \/ {/!d}; /portal_api/d" /etc/nginx/sites-available/default; nginx -t && systemctl reload nginx');
    works('purged', "$purge -y >/dev/null");
    my $find = 'find / -xdev -name "*portal*" ! -path "/src*" ! -path "/proc/*" | while read -r file; do dpkg -S "$file" >/dev/null 2>&1 || echo "$file"; done';
    is(works('nothing is left that is of no other package', $find),
        "/etc/portal\n/var/log/portal-helper.log\n", 'but what was put there');
    is(works('the secret', 'ls /etc/portal'), "secret\n", 'stays');
    is(works('the data', 'runuser -u postgres -- psql -tAc "SELECT slug FROM portal.workspaces" portal'), "acme\n", 'stay');
    works('nginx goes on', 'nginx -t && systemctl reload nginx');
    is(at('/'), "the site\n", 'with its site');
};
$t->stop('inside', 'TERM');

$t->done;
