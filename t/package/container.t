# The container image: conf/compose.yaml holds together, buildah builds the Dockerfile, and its image runs in every role.
#
# The Dockerfile's build stage, which makes the packages from the sources, is left to `bash t/run --long`; otherwise the
# packages that the last stage installs are made of what bash t/run has built. What FROM names is a bare Debian of our own.
# An image of sanitizers is not built. PORTAL_NO_BUILDAH=1 leaves buildah out.
use strict; use warnings; use utf8;
use Test::More;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use POSIX qw(WNOHANG);
use PortalTest;
use BareDebian;

my $t = PortalTest->new(nginx => 0, helper => 0, redis => 0);
my ($root, $dir) = (PortalTest::root(), $t->dir);

subtest 'conf/compose.yaml' => sub {
    my ($code, $output) = $t->run('python', '/usr/bin/python3', '-c', <<'PYTHON', "$root/conf/compose.yaml");
import os, sys, yaml
path = sys.argv[1]
stack = yaml.safe_load(open(path))
services = stack['services']
for name, service in services.items():
    for volume in service.get('volumes', []):
        source = volume.split(':')[0]
        there = os.path.exists(os.path.join(os.path.dirname(path), source)) if source[0] in './' else source in stack['volumes']
        there or print(f'{name}: no {source}')
    for other, how in service.get('depends_on', {}).items():
        other in services or print(f'{name}: no service {other}')
        how['condition'] != 'service_healthy' or 'healthcheck' in services[other] or print(f'{other}: no health check')
print(*sorted(services))
PYTHON
    is($output, "helper mail migrate nginx postgres redis\n", 'names what there is');
    is($code, 0, 'is well-formed');
    my $sql = slurp("$root/conf/compose/roles.sql") =~ s/^--.*\n//mgr;
    ok(index(slurp("$root/README.md"), $sql) > 0, 'its roles are those of README.md');
};

# the files of conf/compose for one host, with our servers' addresses in place of the services' names
sub here {
    my ($file, %also) = @_;
    my $text = slurp("$root/conf/compose/$file");
    my %in_place = ('host=postgres' => "host=$dir/pg port=$t->{postgres_port}", 'redis://redis:6379' => "redis://127.0.0.1:$t->{redis_port}",
        'smtp://mail:1025' => "smtp://127.0.0.1:$t->{smtp_port}", %also);
    $text =~ s/\Q$_\E/$in_place{$_}/g for keys %in_place;
    return $text;
}

subtest 'its configurations' => sub {
    my ($code, $output) = $t->nginx_test("pid $dir/test.pid;\nload_module @{[PortalTest::build()]}/ngx_portal_module.so;\nevents { }\nhttp {\n"
        . "portal_page_files @{[PortalTest::build()]}/page;\n" . here('portal.conf', '/etc/portal/secret' => "$dir/secret", '/run/portal/helper.sock' => "$dir/helper.sock")
        . here('site.conf', '80 default_server' => "unix:$dir/site.sock") . "}\n");
    is($code, 0, 'nginx accepts its own') or diag $output;
    $t->write_file('compose.toml', qq(secret_file = "$dir/secret"\ntemplates = "$root/conf/mail"\n) . here('portal.toml'));
    ($code, $output) = $t->run('helper', PortalTest::build() . '/portal-helper', '--check', '--config', "$dir/compose.toml");
    is($code, 0, 'the helper accepts its own') or diag $output;
};

subtest 'the entry point' => sub {
    my $entry = "$root/conf/container/entrypoint";
    my ($code, undef, $output) = $t->run('sh', $entry, 'echo', 'anything', 'else');
    is($output, "anything else\n", 'runs any other command as it is');
    mkdir "$dir/bin";
    $t->write_file("bin/$_", qq(#!/bin/sh\necho $_ "\$@"\n)) for qw(nginx portalctl);
    chmod 0755, "$dir/bin/$_" for qw(nginx portalctl);
    my $told = sub { (($t->run('sh', 'env', "PATH=$dir/bin:$ENV{PATH}", $entry, @_))[1]) };
    is($told->('-t'), "nginx -t\n", 'options alone are for nginx');
    is($told->('portalctl', 'check'), "portalctl check\n", 'portalctl');
};

my @buildah = ('buildah', '--root', "$dir/storage", '--runroot', "$dir/runroot", '--storage-driver', 'vfs');
my $image = 'localhost/ngx-portal-test';
# what a step prints; whatever has failed ends the subtest
sub works {
    my ($name, @command) = @_;
    my ($code, $output, $stdout) = $t->run('buildah', @command);
    is($code, 0, $name) or do { diag substr $output, -6000; die "$name\n" };
    return $stdout;
}
sub container_of { works("a container of $_[0]", @buildah, 'from', '--pull-never', $_[0]) =~ s/\s+//gr }

# a bare system under the name that the Dockerfile gives; services do not start in it, as in Debian's image
sub make_base {
    my ($name) = slurp("$root/Dockerfile") =~ /^FROM (\S+)$/m;
    my $container = container_of('scratch');
    works('a bare system', @buildah, 'add', '-q', $container, BareDebian::base(), '/');
    $t->write_file('policy-rc.d', "#!/bin/sh\nexit 101\n");
    works('without services', @buildah, 'copy', '-q', '--chmod', '0755', $container, "$dir/policy-rc.d", '/usr/sbin/policy-rc.d');
    works("is $name", @buildah, 'commit', '-q', '--rm', $container, "docker.io/library/$name");
}

# what the build stage leaves, made of what is built already
sub built_stage {
    my $stage = "$dir/stage";
    BareDebian::make_packages("$stage/src/portal");
    return $stage;
}

sub image_is_built {
    make_base();
    my @build = (@buildah, 'build', '--isolation', 'chroot', '--pull-never', '--format', 'docker', '-t', $image);
    push @build, $ENV{PORTAL_LONG} ? ('--volume', BareDebian::cache() . ':/var/cache/ccache')
        : ('--build-context', 'build=' . built_stage());
    works('the Dockerfile is built', @build, $root);
    my $config = json_of(works('the image is looked at', @buildah, 'inspect', '--type', 'image', $image))->{Docker}{config};
    is_deeply([@$config{qw(Entrypoint Cmd StopSignal)}], [['/docker-entrypoint.sh'], ['nginx', '-g', 'daemon off;'], 'SIGQUIT'],
        'entry point, command, signal');
    is_deeply($config->{Healthcheck}{Test}, ['CMD', '/docker-health.sh'], 'health check');
}

# an empty database
sub start_anew {
    $t->start('redis');
    $t->db->disconnect;
    my $admin = DBI->connect("dbi:Pg:host=$dir/pg;port=$t->{postgres_port};dbname=postgres;user=postgres", '', '', { RaiseError => 1, PrintError => 0 });
    $admin->do($_) for 'DROP DATABASE portal WITH (FORCE)', 'CREATE DATABASE portal OWNER portal_owner', 'ALTER ROLE portal_owner CREATEROLE';
    $admin->disconnect;
    chmod 0711, "$dir/pg";    # to its socket come others than root
}

# One container for all roles, with our network and processes; in conf/compose.yaml each has its own, and volumes in common.
sub image_runs {
    start_anew();
    my $port = $t->free_port;
    my $container = container_of($image);
    my $url = "http://127.0.0.1:$port";
    my %file = ('etc/portal/portal.toml' => here('portal.toml', 'http://127.0.0.1:8080' => $url),
        'etc/nginx/conf.d/portal.conf' => here('portal.conf', 'http://127.0.0.1:8080' => $url),
        'etc/nginx/sites-enabled/default' => here('site.conf', '80 default_server' => "127.0.0.1:$port"),
        'docker-entrypoint.d/10-told.sh' => "#!/bin/sh\necho told before nginx\n");
    for my $path (sort keys %file) {
        make_path("$dir/files/" . dirname($path));
        $t->write_file("files/$path", $file{$path});
    }
    chmod 0755, "$dir/files/docker-entrypoint.d/10-told.sh";
    works('its files', @buildah, 'copy', '-q', $container, "$dir/files", '/');
    my @run = (@buildah, 'run', '--isolation', 'chroot', '--volume', "$dir/pg:$dir/pg", '--env', "PORTAL_HEALTH_PORT=$port", $container, '--');
    my @as = (@run, '/docker-entrypoint.sh');
    works('migrate', @as, 'migrate');
    like(works('portalctl', @as, qw(portalctl workspace create acme --name Acme)), qr/acme/, 'a workspace');
    works('portalctl', @as, qw(portalctl customer create -w acme --email mike@example.com));

    my $helper = $t->spawn('helper', [], @as, 'portal-helper');
    my $nginx = $t->spawn('nginx', [], @as, 'nginx', '-g', 'daemon off;');
    my $answer = sub { my ($path, @more) = @_; ($t->run('curl', qw(curl -s --max-time 5), @more, "$url$path"))[2] };
    ok($t->wait_for(sub { $answer->('/api/customer-portal/workspaces/acme') =~ /Acme/ }, 20), 'nginx answers from the database')
        or diag $t->log_text('nginx.log'), $t->log_text('helper.log');
    like($answer->('/acme/portal'), qr{/portal-assets/main-}, 'the page is there');
    like($answer->('/api/customer-portal/customer-session/request', '--json', '{"email":"mike@example.com"}'), qr/challenge_id/, 'a code is asked for');
    ok($t->login_code('mike@example.com'), 'and comes by mail');
    like($t->log_text('nginx.log'), qr/^told before nginx$/m, 'a script of docker-entrypoint.d ran');
    ok($t->wait_for(sub { $t->log_text('nginx.log') =~ m{GET /acme/portal} }, 5), 'its log is on stdout');
    my $check = works('portalctl check', @as, 'portalctl', 'check');
    unlike($check, qr/^FAIL/m, 'all is well') or diag $check;
    works('health', @run, '/docker-health.sh');

    my @inside = map { descendants($_) } $nginx, $helper;
    my %is = map { (slurp("/proc/$_/cmdline") =~ tr/\0/ /r) => $_ } @inside;
    my ($master) = map { $is{$_} } grep { /^nginx: master/ } keys %is;
    my @plain = map { $is{$_} } grep { /^nginx: worker|^portal-helper/ } keys %is;
    cmp_ok(scalar @plain, '>=', 2, 'workers and helper');
    is_deeply([grep { slurp("/proc/$_/status") =~ /^Uid:\s+0\s/m } @plain], [], 'none of them is root');
    kill 'QUIT', $master;
    ok($t->wait_for(sub { waitpid($nginx, WNOHANG) != 0 }, 10), 'SIGQUIT ends nginx');
    is($?, 0, 'gracefully');
    delete $t->{pid}{nginx};
    my ($daemon) = map { $is{$_} } grep { /^portal-helper/ } keys %is;
    kill 'TERM', $daemon;
    ok($t->wait_for(sub { waitpid($helper, WNOHANG) != 0 }, 10), 'SIGTERM ends the helper');
    delete $t->{pid}{helper};
}

sub descendants {
    my ($pid) = @_;
    return map { ($_, descendants($_)) } map { split } grep { defined } map { slurp($_) } glob "/proc/$pid/task/*/children";
}

unless (PortalTest::asan() || $ENV{PORTAL_NO_BUILDAH}) {
    subtest 'the image is built' => \&image_is_built;
    subtest 'the image runs' => \&image_runs;
}

$t->done;
