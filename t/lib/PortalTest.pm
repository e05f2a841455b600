package PortalTest;

# The whole product on private servers, for one test file. See the POD below.

use strict;
use warnings;
use utf8;

use Carp qw(croak);
use Cwd qw(abs_path);
use DBI;
use Digest::SHA qw(sha256_hex);
use Encode qw(decode encode);
use Exporter qw(import);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use HTTP::Request;
use HTTP::Response;
use IO::Select;
use IO::Socket::INET;
use JSON::XS;
use LWP::UserAgent;
use MIME::Base64 qw(decode_base64);
use MIME::QuotedPrint qw(decode_qp);
use POSIX qw(:sys_wait_h);
use Test::More ();
use Time::HiRes qw(sleep time);

use Credentials;

our @EXPORT = qw(json_of keys_of is_answer is_status true false null slurp);

my $ROOT  = abs_path(dirname(__FILE__) . '/../..');
my $ASAN  = $ENV{PORTAL_ASAN} ? 1 : 0;
my $BUILD = abs_path($ENV{PORTAL_BUILD} // "$ROOT/" . ($ASAN ? 'build-asan' : 'build'));
my $PGBIN = (sort glob '/usr/lib/postgresql/*/bin')[-1];
my $PYTHON = '/usr/bin/python3';    # Debian's own: it has aiosmtpd
my $TOKEN  = qr/portal_(?:oat|cst|mst|cpt)_[A-Za-z0-9_-]{16,}/;
my $SLOW   = $ASAN ? 4 : 1;
my $JSON   = JSON::XS->new->utf8->canonical->allow_nonref;

binmode Test::More->builder->$_, ':encoding(UTF-8)' for qw(output failure_output todo_output);

sub true  { JSON::XS::true }
sub false { JSON::XS::false }
sub null  { undef }
sub root  { $ROOT }
sub build { $BUILD }
sub asan  { $ASAN }

# ---- life of the servers

my %alive;    # every instance not yet stopped, for END

sub new {
    my ($class, %option) = @_;
    -x "$BUILD/portalctl" or croak "no build in $BUILD: run bash t/run, or set PORTAL_BUILD";
    my $self = bless {
        owner => $$, option => { workers => 2, redis => 1, helper => 1, nginx => 1, http => '', location => '',
            server => '', globals => '', mail => {}, toml => '', toml_mail => '', stale => '30s',
            redis_budget => '250ms', proxy => [], %option },
        pid => {}, tolerated => [], made => 0, credentials => Credentials->new,
    }, $class;
    $self->{dir} = tempdir('portal-t-XXXXXX', DIR => '/tmp', CLEANUP => 0);
    chmod 0755, $self->{dir};
    $alive{$self} = $self;
    mkdir "$self->{dir}/$_" for qw(tmp mail html);
    $self->{$_ . '_port'} = $self->free_port for qw(http h2 postgres redis smtp);

    $self->{proxy} = { map { require FaultProxy; $_ => FaultProxy->new($self, $_) } @{ $self->{option}{proxy} } };
    $self->start('smtp');
    $self->start('redis') if $self->{option}{redis};
    $self->ctl_plain('secret', 'new', "$self->{dir}/secret") unless -e "$self->{dir}/secret";
    $self->write_toml;
    $self->copy_cluster;
    $self->start('postgres');
    $self->start('helper') if $self->{option}{helper};
    $self->start('nginx')  if $self->{option}{nginx};
    return $self;
}

# A port of our own: outside the range of outgoing connections, and locked against a test file beside us.
sub free_port {
    my ($self) = @_;
    make_path('/tmp/portal-t-ports');
    for (1 .. 500) {
        my $port = 20000 + int rand 10000;
        open my $lock, '>', "/tmp/portal-t-ports/$port" or next;
        flock $lock, LOCK_EX | LOCK_NB or next;
        IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1) or next;
        push @{ $self->{locks} }, $lock;
        return $port;
    }
    croak 'no free port';
}

sub base_url { my ($self) = @_; $self->{option}{base_url} // "http://127.0.0.1:$self->{http_port}" }
sub dir      { $_[0]{dir} }
sub port     { $_[0]{http_port} }
sub h2_port  { $_[0]{h2_port} }
sub pid      { $_[0]{pid}{ $_[1] } }
sub proxy    { $_[0]{proxy}{ $_[1] } }

# Where nginx and the helper find them.
sub redis_url { my ($self) = @_; 'redis://127.0.0.1:' . ($self->{proxy}{redis} ? $self->{proxy}{redis}->port : $self->{redis_port}) }
sub postgres_at {
    my ($self) = @_;
    my $proxy = $self->{proxy}{postgres};
    return ($proxy ? 'host=127.0.0.1 port=' . $proxy->port : "host=$self->{dir}/pg port=$self->{postgres_port}") . ' dbname=portal';
}

sub write_toml {
    my ($self) = @_;
    my ($dir, $mail) = ($self->{dir}, $self->{option}{mail});
    my $pg = "host=$dir/pg port=$self->{postgres_port} dbname=portal";
    my $starttls = $mail->{starttls} ? 'required' : 'off';
    my $scheme   = $mail->{tls}      ? 'smtps'    : 'smtp';
    my $host     = $mail->{tls} || $mail->{starttls} ? 'localhost' : '127.0.0.1';
    my $redis    = $self->{option}{redis} ? qq(redis = "@{[$self->redis_url]}"\n) : '';
    my $more     = $mail->{cert} ? qq(ca_file = "$dir/ca.pem"\n) : '';
    if ($mail->{auth}) {
        my ($user, $password) = split /:/, $mail->{auth}, 2;
        chmod 0600, $self->write_file('mail.password', "$password\n");
        $more .= qq(username = "$user"\npassword_file = "$dir/mail.password"\n);
    }
    $self->write_file('portal.toml', <<"TOML" . $redis . $self->{option}{toml} . <<"TOML");
postgres = "@{[$self->postgres_at]} user=portal_helper"
owner_postgres = "$pg user=portal_owner"
secret_file = "$dir/secret"
base_url = "@{[$self->base_url]}"
socket = "$dir/helper.sock"
templates = "$ROOT/conf/mail"
migrations = "$ROOT/conf/sql"
TOML
[mail]
url = "$scheme://$host:$self->{smtp_port}"
from = "Portal <portal\@example.com>"
starttls = "$starttls"
$more$self->{option}{toml_mail}
TOML
}

sub nginx_conf {
    my ($self) = @_;
    my %value = (
        DIR => $self->{dir}, BUILD => $BUILD, ROOT => $ROOT, PORT => $self->{http_port}, H2PORT => $self->{h2_port},
        LEVEL => $ENV{PORTAL_T_DEBUG} ? 'debug' : 'info', URL => $self->base_url,
        WORKERS => $self->{option}{workers}, STALE => $self->{option}{stale},
        POSTGRES => $self->postgres_at . ' user=portal_web',
        REDIS    => $self->{option}{redis} ? "portal_redis @{[$self->redis_url]} budget=$self->{option}{redis_budget};" : '',
        REDISPORT => $self->{redis_port}, PGPORT => $self->{postgres_port},
        map { uc $_ => $self->{option}{$_} } qw(http server location globals),
    );
    my $conf = $self->{option}{conf} // <<'CONF';
daemon off;
user root;
worker_processes %%WORKERS%%;
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/error.log %%LEVEL%%;
load_module %%BUILD%%/ngx_portal_module.so;
%%GLOBALS%%
events { worker_connections 2048; }
http {
    access_log %%DIR%%/access.log;
    client_body_temp_path %%DIR%%/tmp/body;
    proxy_temp_path %%DIR%%/tmp/proxy;
    fastcgi_temp_path %%DIR%%/tmp/fastcgi;
    uwsgi_temp_path %%DIR%%/tmp/uwsgi;
    scgi_temp_path %%DIR%%/tmp/scgi;
    root %%DIR%%/html;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;

    portal_zone portal:16m;
    portal_postgres "%%POSTGRES%%";
    %%REDIS%%
    portal_helper unix:%%DIR%%/helper.sock;
    portal_secret_file %%DIR%%/secret;
    portal_base_url %%URL%%;
    portal_stale %%STALE%%;
    %%HTTP%%

    server {
        listen 127.0.0.1:%%PORT%% default_server;
        listen 127.0.0.1:%%H2PORT%% http2;
        server_name localhost;
        %%SERVER%%
        location /api/ { portal_api sessions portal client-portal management; }
        %%LOCATION%%
    }
}
CONF
    for (1 .. 2) { $conf =~ s/%%([A-Z0-9]+)%%/$value{$1} \/\/ croak "no %%$1%%"/ge }
    # what sanitizer_environment() gives nginx is to reach a new binary, too
    $conf = "env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS; env LSAN_OPTIONS;\n$conf" if $ASAN;
    return $conf;
}

my %command = (
    postgres => sub { my ($s) = @_;
        ['--reuid', 'postgres', '--regid', 'postgres', '--init-groups'], "$PGBIN/postgres", '-D', "$s->{dir}/pg" },
    redis => sub { my ($s) = @_;
        [], 'redis-server', '--port', $s->{redis_port}, '--bind', '127.0.0.1', '--save', '', '--dir', $s->{dir},
        '--appendonly', 'no' },
    smtp => sub { my ($s) = @_; my $mail = $s->{option}{mail};
        $s->make_certificate if $mail->{tls} || $mail->{starttls};
        [], $PYTHON, "$ROOT/t/lib/smtp_catcher.py", '--port', $s->{smtp_port}, '--maildir', "$s->{dir}/mail/box",
        '--mode-file', "$s->{dir}/mail/mode", $mail->{cert} ? ('--cert', "$s->{dir}/mail.pem", '--key',
            "$s->{dir}/mail.key") : (), $mail->{starttls} ? '--starttls' : (), $mail->{tls} ? '--implicit-tls' : (),
        $mail->{auth} ? ('--auth', $mail->{auth}) : () },
    helper => sub { my ($s) = @_; [], "$BUILD/portal-helper", '--config', "$s->{dir}/portal.toml" },
    nginx => sub { my ($s) = @_; $s->write_file('nginx.conf', $s->nginx_conf);
        [], 'nginx', '-p', "$s->{dir}/", '-e', "$s->{dir}/error.log", '-c', "$s->{dir}/nginx.conf" },
);
my %goodbye = (postgres => 'INT', redis => 'TERM', smtp => 'KILL', helper => 'TERM', nginx => 'TERM');

# Starts one of postgres, redis, smtp, helper, nginx and returns when it answers.
sub start {
    my ($self, $name) = @_;
    my ($as, @command) = $command{$name}->($self);
    my $pid = $self->spawn($name, $as, @command);
    # the mail server is waited for when the first mail is due: it is slow to start and rarely first to be asked
    $self->await($name) unless $name eq 'smtp';
    $self->watch_redis if $name eq 'redis' && !$self->{option}{unsearched};
    return $pid;
}

sub spawn {
    my ($self, $name, $as, @command) = @_;
    defined(my $pid = fork) or croak "fork: $!";
    if (!$pid) {
        setpgrp 0, 0;
        chdir $self->{dir};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/$name.log";
        open STDERR, '>&', \*STDOUT;
        $self->sanitizer_environment($name);
        # whoever kills a test with -9 must not leave its servers behind
        exec('setpriv', @$as, '--pdeathsig', $goodbye{$name} // 'TERM', @command) or POSIX::_exit(127);
    }
    $self->{pid}{$name} = $pid;
    push @{ $self->{groups} }, [$name, $pid];
    return $pid;
}

# Records what Redis is told from now until it ends, 64 MiB at most.
sub watch_redis {
    my ($self) = @_;
    my $before = -s "$self->{dir}/monitor.log" // 0;
    $self->spawn('monitor', [], 'prlimit', '--fsize=' . (64 << 20), 'redis-cli', '-p', $self->{redis_port}, 'MONITOR');
    $self->wait_for(sub { (-s "$self->{dir}/monitor.log" // 0) > $before }, 10 * $SLOW, 0.002) or croak 'no MONITOR';
}

sub sanitizer_environment {
    my ($self, $name) = @_;
    $ENV{LC_ALL} = 'C.UTF-8';
    delete @ENV{qw(PORTAL_CONFIG PERL5LIB)};
    return unless $ASAN && $name =~ /^(?:nginx|node2|helper|ctl)/;
    $ENV{ASAN_OPTIONS}  = "detect_odr_violation=0:log_path=$self->{dir}/sanitizer.$name";
    $ENV{UBSAN_OPTIONS} = "print_stacktrace=1:log_path=$self->{dir}/sanitizer.$name";
    $ENV{LSAN_OPTIONS}  = "suppressions=$ROOT/t/lib/lsan.supp:print_suppressions=0";
    # Debian's nginx is not instrumented: it gets the run-time libraries of the module ahead of everything; so does the
    # one that portalctl asks for its configuration
    chomp($ENV{LD_PRELOAD} = join ':', map { `gcc -print-file-name=$_` =~ s/\n//r }
        qw(libasan.so libubsan.so libstdc++.so.6)) if $name =~ /^(?:nginx|node2|ctl)/;
}

sub await {
    my ($self, $name, $seconds) = @_;
    my $pid = $self->{pid}{$name};
    my $ready = {
        postgres => sub { -e "$self->{dir}/pg/.s.PGSQL.$self->{postgres_port}" && eval { $self->db(1) } },
        redis    => sub { $self->connects($self->{redis_port}) },
        smtp     => sub { $self->connects($self->{smtp_port}) },
        helper   => sub { -S "$self->{dir}/helper.sock" },
        nginx    => sub { $self->connects($self->{http_port}) },
    }->{$name} // return;
    return if $self->wait_for(sub {
        $pid == 0 || waitpid($pid, WNOHANG) == 0
            or delete $self->{pid}{$name}, croak "$name ended at once: " . $self->last_words($name);
        $ready->();
    }, $seconds // 20 * $SLOW, 0.01);
    croak "$name does not answer: " . $self->last_words($name);
}

sub last_words {
    my ($self, $name) = @_;
    my @files = ("$self->{dir}/$name.log", $name eq 'nginx' ? "$self->{dir}/error.log" : ());
    return join "\n", map { substr(slurp($_), -2000) } grep { -e } @files;
}

sub connects { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_[1], Timeout => 1) ? 1 : 0 }

# Ends one server; `signal` KILL for a crash. Returns when it is gone.
sub stop {
    my ($self, $name, $signal) = @_;
    my $pid = delete $self->{pid}{$name} // return;
    if ($name eq 'postgres') { $_ && $_->disconnect for delete @$self{qw(db)} }
    # a killed PostgreSQL would leave its children for a while, and they the shared memory
    kill $signal // $goodbye{$name} // 'TERM', $name eq 'postgres' && ($signal // '') eq 'KILL' ? -$pid : $pid;
    my $status;
    if ($self->wait_for(sub { my $gone = waitpid $pid, WNOHANG; $status = $?; $gone != 0 }, 15 * $SLOW, 0.01)) {
        # 9 is ours, 15 of those who have no handler for it
        my ($by, $code) = ($status & 127, $status >> 8);
        push @{ $self->{crashed} }, "$name: " . ($by ? "signal $by" : "exit code $code")
            if $name =~ /^(?:nginx|node|helper|postgres|redis|smtp)/ && $status != -1 && ($by ? $by != 9 && $by != 15 : $code && ($signal // '') ne 'KILL');
    } else {
        Test::More::diag("$name did not end, killing it");
        kill 'KILL', -$pid;
        waitpid $pid, 0;
        push @{ $self->{stuck} }, $name;
    }
    unlink "$self->{dir}/pg/postmaster.pid" if $name eq 'postgres';
    if (my $monitor = $name eq 'redis' && CORE::delete $self->{pid}{monitor}) {    # it has more to read, and then ends
        $self->wait_for(sub { waitpid($monitor, WNOHANG) != 0 }, 10 * $SLOW, 0.005);
    }
    return $pid;
}

sub restart { my ($self, $name, $signal) = @_; $self->stop($name, $signal); $self->start($name) }
sub signal  { my ($self, $name, $signal) = @_; kill $signal, $self->{pid}{$name} or croak "$name: $!" }

# HUP, and wait until only new workers serve.
sub reload {
    my ($self) = @_;
    my %old = map { $_ => 1 } $self->workers;
    $self->write_file('nginx.conf', $self->nginx_conf);
    $self->signal('nginx', 'HUP');
    $self->wait_for(sub { my @now = $self->workers; @now && !grep { $old{$_} } @now }, 20 * $SLOW)
        or croak 'nginx did not reload: ' . $self->last_words('nginx');
}

# Process ids of the nginx workers, old ones that are still going away included.
sub workers {
    my ($self) = @_;
    my $pid = $self->{pid}{nginx} // return;
    return map { split ' ' } grep { defined } map { slurp($_) } glob "/proc/$pid/task/*/children";
}

sub nginx_test {
    my ($self, $conf) = @_;
    $self->write_file('test.conf', $conf // $self->nginx_conf);
    return $self->run('nginx', 'nginx', '-t', '-p', "$self->{dir}/", '-e', "$self->{dir}/test.log", '-c',
        "$self->{dir}/test.conf");
}

# ---- PostgreSQL: one migrated cluster per schema, copied for each file

sub copy_cluster {
    my ($self) = @_;
    # of the schema, and of how it is made
    my $sources = sha256_hex(join '', map { $_ . slurp($_) } __FILE__, sort glob "$ROOT/conf/sql/*.sql");
    my $template = '/tmp/portal-t-cluster-' . substr($sources, 0, 16);
    open my $lock, '>', "$template.lock" or croak "$template.lock: $!";
    flock $lock, LOCK_EX;
    if (!-e "$template/ready") {
        remove_tree($template, grep { -M > 1 } glob '/tmp/portal-t-cluster-*');
        $self->make_cluster($template);
    }
    close $lock;
    system('cp', '-a', $template, "$self->{dir}/pg") == 0 or croak 'cp failed';
    open my $conf, '>>', "$self->{dir}/pg/postgresql.conf";
    print $conf "port = $self->{postgres_port}\nunix_socket_directories = '$self->{dir}/pg'\n";
}

sub make_cluster {
    my ($self, $template) = @_;
    my ($uid, $gid) = (getpwnam 'postgres')[2, 3];
    mkdir $template;
    chown $uid, $gid, $template;
    system("setpriv --reuid postgres --regid postgres --init-groups -- $PGBIN/initdb -D $template -U postgres "
        . "--auth=trust --no-sync --encoding=UTF8 --locale=C.UTF-8 --wal-segsize=1 >$self->{dir}/initdb.log 2>&1") == 0
        or croak 'initdb: ' . slurp("$self->{dir}/initdb.log");
    open my $conf, '>>', "$template/postgresql.conf";
    print $conf <<'CONF';
listen_addresses = ''
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 32MB
min_wal_size = 2MB
max_wal_size = 64MB
max_connections = 100
jit = off
log_min_messages = warning
log_timezone = UTC
CONF
    close $conf;
    my $pid = do {
        local $self->{pid} = {};
        $self->spawn('template', [qw(--reuid postgres --regid postgres --init-groups)], "$PGBIN/postgres", '-D',
            $template, '-c', "port=$self->{postgres_port}", '-c', "unix_socket_directories=$template",
            '-c', 'fsync=off');
    };
    my $dsn = "dbi:Pg:host=$template;port=$self->{postgres_port};user=postgres";
    my $db;
    $self->wait_for(sub { $db = eval { DBI->connect("$dsn;dbname=postgres", '', '', { PrintError => 0, RaiseError => 1 }) } }, 30)
        or croak 'the template does not start: ' . slurp("$self->{dir}/template.log");
    $db->do($_) for 'CREATE ROLE portal_owner LOGIN CREATEROLE', 'CREATE ROLE portal_web LOGIN',
        'CREATE ROLE portal_helper LOGIN', 'CREATE ROLE portal_site', 'CREATE DATABASE portal OWNER portal_owner';
    $db->disconnect;
    my $toml = slurp("$self->{dir}/portal.toml") =~ s{host=\S+/pg }{host=$template }gr;
    $self->write_file('template.toml', $toml);
    my ($code, $out) = $self->run('ctl', "$BUILD/portalctl", '--config', "$self->{dir}/template.toml", 'migrate');
    kill 'INT', $pid;
    waitpid $pid, 0;
    croak "portalctl migrate: $out" if $code;
    $self->write_file("$template/ready", '');
}

# A DBI handle of the superuser; with a true argument errors are for the caller.
sub db {
    my ($self) = @_;
    return $self->{db} if $self->{db} && $self->{db}{Active};
    return $self->{db} = DBI->connect(
        "dbi:Pg:host=$self->{dir}/pg;port=$self->{postgres_port};dbname=portal;user=postgres", '', '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1 });
}
sub value { my ($self, $sql, @bind) = @_; ($self->db->selectrow_array($sql, undef, @bind))[0] }
sub row   { my ($self, $sql, @bind) = @_; $self->db->selectrow_hashref($sql, undef, @bind) }

sub redis {
    my ($self) = @_;
    require Redis;
    return Redis->new(server => "127.0.0.1:$self->{redis_port}", encoding => undef);
}

# ---- portalctl and data

# Runs a command; (exit code, stdout and stderr, stdout, stderr).
sub run {
    my ($self, $name, @command) = @_;
    my ($out, $err) = map { "$self->{dir}/run." . ++$self->{runs} . ".$_" } qw(out err);
    defined(my $pid = fork) or croak "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>', $err;
        $self->sanitizer_environment($name);
        exec @command or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    my ($stdout, $stderr) = (slurp($out), slurp($err));
    $self->{credentials}->see($stdout) if $name eq 'ctl';
    unlink $out, $err;
    return ($code, $stdout . $stderr, $stdout, $stderr);
}

sub ctl_plain {
    my ($self, @arguments) = @_;
    my ($code, $both, $stdout) = $self->run('ctl', "$BUILD/portalctl", @arguments);
    croak "portalctl @arguments: exit $code: $both" if $code;
    return $stdout;
}
sub ctl_run { my ($self, @a) = @_; $self->run('ctl', "$BUILD/portalctl", '--config', "$self->{dir}/portal.toml", @a) }
sub ctl     { my ($self, @a) = @_; $JSON->decode($self->ctl_plain('--config', "$self->{dir}/portal.toml", @a, '--json')) }

# A workspace: {id, slug}. Options are columns; member_model => 1.
sub workspace {
    my ($self, %column) = @_;
    my $slug = $column{slug} // 'ws-' . ++$self->{made} . '-' . substr(rand() =~ s/\D//gr, 0, 6);
    my $features = $JSON->encode({ member_model_enabled => delete $column{member_model} ? true : false });
    $self->insert('workspaces', { name => "Workspace $slug", feature_settings => $features, %column, slug => $slug });
}

# A workspace access token with these scopes, all of them by default.
sub token {
    my ($self, $workspace, @scopes) = @_;
    my @option = ref $scopes[0] ? @{ shift @scopes } : ();
    @scopes = qw(customer_sessions:write member_sessions:write customers:write members:write client_portal:write
        file_sharing:write payments:write webhooks:write workspaces:write workspace_access_tokens:write) unless @scopes;
    my $made = $self->ctl(qw(token create --workspace), $workspace->{slug}, '--comment', 'test', @option,
        map { ('--scope', $_) } @scopes);
    $self->{token_id}{ $made->{token} } = $made->{workspace_access_token}{id};
    return $made->{token};
}
sub token_id { my ($self, $token) = @_; $self->{token_id}{$token} // croak 'not a token of this test' }

sub customer {
    my ($self, $workspace, %column) = @_;
    my $n = ++$self->{made};
    $self->insert('customers', { workspace_id => $workspace->{id}, email => "customer$n\@example.com",
        name => "Customer $n", type => 'individual', %column });
}
sub member {
    my ($self, $customer, %column) = @_;
    my $n = ++$self->{made};
    $self->insert('members', { workspace_id => $customer->{workspace_id}, customer_id => $customer->{id},
        email => "member$n\@example.com", name => "Member $n", role => 'owner', %column });
}

# A session's token, of a customer or a member's row, as a backend makes it.
sub session {
    my ($self, $row) = @_;
    my $member = exists $row->{role};
    my $token = $self->{session_maker}{ $row->{workspace_id} } //= $self->token(
        $self->row('SELECT id, slug FROM portal.workspaces WHERE id = ?', $row->{workspace_id}),
        'customer_sessions:write', 'member_sessions:write');
    my $response = $self->post($member ? '/api/member-sessions/' : '/api/customer-sessions/', token => $token,
        json => { $member ? 'member_id' : 'customer_id' => $row->{id} });
    $response->code == 201 or croak 'no session: ' . $response->as_string;
    return json_of($response)->{token};
}
sub contact { my ($self, $ws, %c) = @_; $self->addressee('contacts',  $ws, \%c) }
sub company { my ($self, $ws, %c) = @_; $self->addressee('companies', $ws, \%c) }

sub addressee {
    my ($self, $table, $workspace, $column) = @_;
    my $n = ++$self->{made};
    $self->insert($table, { workspace_id => $workspace->{id}, name => "Addressee $n",
        email => "addressee$n\@example.com", %$column });
}

sub insert {
    my ($self, $table, $row) = @_;
    my @names = sort keys %$row;
    my $sql = sprintf 'INSERT INTO portal.%s (%s) VALUES (%s) RETURNING *', $table, join(', ', @names),
        join(', ', ('?') x @names);
    return $self->db->selectrow_hashref($sql, undef, @$row{@names});
}

# ---- HTTP

sub agent {
    my $agent = LWP::UserAgent->new(keep_alive => 8, max_redirect => 0, timeout => 30 * $SLOW, agent => 'portal-test', parse_head => 0);
    # it would not end: left after its first bytes
    $agent->add_handler(response_data => sub { die "left\n" }, m_media_type => 'text/event-stream');
    return $agent;
}

# request(METHOD, PATH, token => …, json => …, body => …, headers => {…}) → HTTP::Response
sub request {
    my ($self, $method, $path, %option) = @_;
    $self->{agent} //= agent();
    my $request = HTTP::Request->new($method, ($option{base} // "http://127.0.0.1:$self->{http_port}") . $path);
    $request->header(Authorization => "Bearer $option{token}") if defined $option{token};
    if (exists $option{json}) {
        $request->header('Content-Type' => 'application/json');
        $request->content($JSON->encode($option{json}));
    } elsif (defined $option{body}) {
        $request->header('Content-Type' => $option{type} // 'application/json') unless ($option{type} // '') eq 'none';
        $request->content(ref $option{body} ? ${ $option{body} } : encode('UTF-8', $option{body}));
    }
    my $headers = $option{headers} // {};
    $request->header($_ => $headers->{$_}) for keys %$headers;
    $request->header('Content-Length' => 0) if $method ne 'GET' && $method ne 'HEAD' && $request->content eq '';
    my $response = $self->{agent}->request($request);
    $self->{credentials}->see($_) for $response->headers->as_string, $response->content;
    $self->saw($method, $path, scalar $request->header('Accept'), $request->content, $response);
    return $response;
}

# Keeps an answer of portal_api's for done(), which compares it with the OpenAPI document. Of answers that differ in
# ids, tokens and numbers only, one is kept.
sub saw {
    my ($self, $method, $target, $accept, $sent, $response) = @_;
    return unless $target =~ m{^(?:https?://[^/]*)?/[^?]*api} && ours($response);
    my ($prefix) = $self->base_url =~ m{^https?://[^/]+(/.*)?};
    $target =~ s{^(?:https?://[^/]*)?\K\Q$prefix\E(?=/)}{} if $prefix;
    my $body = $response->content;
    return if $method ne 'HEAD' && length $body != ($response->header('Content-Length') // 0);    # cut off
    my %headers = map { lc $_ => scalar $response->header($_) } $response->header_field_names;
    my $answer = { method => $method, path => $target, status => $response->code, headers => \%headers,
        accept => $accept // '', body => $body, sent => $response->is_success ? $sent : undef };
    my $kind = join "\0", $method, $target =~ s/\?.*//sr, $response->code, $accept // '', $body, $answer->{sent} // '-',
        map { ($_, $_ eq 'content-type' ? $headers{$_} : ()) } sort keys %headers;
    $kind =~ s/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/U/g;
    $kind =~ s/portal_[a-z]{3}_[\w-]{30,}/T/g;
    $kind =~ s/\d+/0/g;
    $self->{seen}{$kind} //= $answer;
}

# Made by portal_api: nginx's own pages and the site's handlers lack one of these.
sub ours {
    my ($response) = @_;
    return defined $response->header('X-Request-ID')
        && ($response->header('X-Content-Type-Options') // '') eq 'nosniff'
        && ($response->header('Referrer-Policy') // '') eq 'no-referrer';
}

# The same of a request in bytes, and the bytes that came back: one whole answer, else nothing is kept.
sub saw_bytes {
    my ($self, $bytes, $data) = @_;
    $self->{credentials}->see($data);
    my ($method, $target, $head, $sent) = $bytes =~ m{\A([A-Z]+) (\S+) HTTP/1\.[01]\r\n(.*?\r\n)\r\n(.*)}s or return;
    return if $sent =~ m{^[A-Z]+ \S+ HTTP/1}m || ($data // '') !~ m{\AHTTP/1\.[01] \d} || $data =~ m{\nHTTP/1\.[01] \d};
    $sent = undef if $head =~ /^Transfer-Encoding:/mi;
    $self->saw($method, $target, $head =~ /^Accept:[ \t]*(.*?)\r$/mi ? $1 : '', $sent, $self->parse($data));
}
sub get    { my $self = shift; $self->request('GET',    @_) }
sub post   { my $self = shift; $self->request('POST',   @_) }
sub patch  { my $self = shift; $self->request('PATCH',  @_) }
sub delete { my $self = shift; $self->request('DELETE', @_) }

# An open socket to nginx.
sub connect {
    my ($self, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port // $self->{http_port}, Timeout => 5)
        or croak "connect: $!";
    $socket->autoflush(1);
    return $socket;
}

# Sends bytes as they are and returns all that comes back until the end, or until `timeout`.
sub raw {
    my ($self, $bytes, %option) = @_;
    my $socket = $option{socket} // $self->connect;
    local $SIG{PIPE} = 'IGNORE';
    utf8::encode($bytes) if utf8::is_utf8($bytes);
    print {$socket} $bytes;
    my $data = $self->read_all($socket, $option{timeout});
    $self->saw_bytes($bytes, $data);
    return $data;
}

sub read_all {
    my ($self, $socket, $timeout) = @_;
    my ($data, $end) = ('', time + ($timeout // 10 * $SLOW));
    my $select = IO::Select->new($socket);
    while ((my $left = $end - time) > 0) {
        $select->can_read($left) or last;
        sysread($socket, $data, 65536, length $data) or last;
    }
    return $data;
}

# The one response in raw bytes.
sub parse { my ($self, $bytes) = @_; HTTP::Response->parse($bytes) }

# Many requests at once, each on a connection of its own; their responses in the order given.
sub at_once {
    my ($self, @requests) = @_;
    my @sockets = map { $self->connect } @requests;
    print { $sockets[$_] } $requests[$_] for 0 .. $#requests;
    my @answers = map { $self->read_all($_) } @sockets;
    $self->saw_bytes($requests[$_], $answers[$_]) for 0 .. $#requests;
    return map { $self->parse($_) } @answers;
}

# A request as bytes, closing its connection.
sub bytes {
    my ($self, $method, $path, %option) = @_;
    my $body = exists $option{json} ? $JSON->encode($option{json}) : $option{body};
    my @lines = ("$method $path HTTP/1.1", 'Host: localhost', 'Connection: close');
    push @lines, "Authorization: Bearer $option{token}" if defined $option{token};
    push @lines, 'Content-Type: application/json', 'Content-Length: ' . length $body if defined $body;
    push @lines, map { "$_: $option{headers}{$_}" } sort keys %{ $option{headers} // {} };
    return join("\r\n", @lines, '', '') . ($body // '');
}

# One request over a socket that may be kept: {status, head, body}; undef when the connection ended before an answer.
sub ask {
    my ($self, $socket, $bytes, $timeout) = @_;
    local $SIG{PIPE} = 'IGNORE';
    print {$socket} $bytes or return;
    my ($data, $end, $length, $select) = ('', time + ($timeout // 10 * $SLOW), undef, IO::Select->new($socket));
    while ((my $left = $end - time) > 0) {
        if (!defined $length && $data =~ /\A(HTTP\S+ (\d+).*?\r\n)\r\n/s) {
            my ($head, $status) = ($1, $2);
            $length = $+[0] + ($status =~ /^(?:1|204|304)/ ? 0 : $head =~ /^Content-Length: (\d+)/mi ? $1 : 0);
        }
        last if defined $length && length $data >= $length;
        $select->can_read($left) or last;
        sysread($socket, $data, 65536, length $data) or last;
    }
    return unless defined $length && length $data >= $length;
    $self->saw_bytes($bytes, $data);
    my ($head, $body) = split /\r\n\r\n/, $data, 2;
    return { status => $head =~ /^\S+ (\d+)/, head => $head, body => $body };
}

# What `code` returns, from a process of its own: gives a sub that waits for it.
sub apart {
    my ($self, $code) = @_;
    pipe my $reader, my $writer or croak "pipe: $!";
    $self->{db}{AutoInactiveDestroy} = 1 if $self->{db};    # the connection stays the parent's
    defined(my $pid = fork) or croak "fork: $!";
    if (!$pid) {
        close $reader;
        CORE::delete @$self{qw(db agent seen)};
        my @result = eval { $code->() };
        print {$writer} $JSON->encode({ $@ ? (error => "$@") : (result => \@result), seen => $self->{seen},
            known => $self->{credentials}->known });
        close $writer;
        POSIX::_exit(0);
    }
    close $writer;
    return sub {
        my $answer = $JSON->decode(do { local $/; <$reader> } // '{"error":"gone"}');
        waitpid $pid, 0;
        $self->{seen}{$_} //= $answer->{seen}{$_} for keys %{ $answer->{seen} // {} };
        $self->{credentials}->know(%{ $answer->{known} // {} });
        croak $answer->{error} if defined $answer->{error};
        return wantarray ? @{ $answer->{result} } : $answer->{result}[0];
    };
}

# A backend of the site's: answers every request with the bytes it got. Gives its port.
sub echo {
    my ($self) = @_;
    my $port = $self->free_port;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1)
        or croak "echo: $!";
    my $parent = $$;
    defined(my $pid = fork) or croak "fork: $!";
    if (!$pid) {
        setpgrp 0, 0;
        chdir $self->{dir};
        $SIG{TERM} = 'DEFAULT';
        while (getppid == $parent) {
            IO::Select->new($listener)->can_read(0.5) or next;
            my $client = $listener->accept or next;
            my $bytes = '';
            until ($bytes =~ /\r\n\r\n/ && length $bytes >= $+[0] + ($bytes =~ /^Content-Length: (\d+)/mi ? $1 : 0)) {
                sysread($client, $bytes, 65536, length $bytes) or last;
            }
            print {$client} "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " . length($bytes)
                . "\r\nConnection: close\r\n\r\n$bytes";
            close $client;
        }
        POSIX::_exit(0);
    }
    $self->{pid}{"echo$port"} = $pid;
    push @{ $self->{groups} }, ["echo$port", $pid];
    return $port;
}

# ---- mail

sub mail_mode { my ($self, $mode) = @_; $self->write_file('mail/mode', "$mode\n"); $self->await('smtp') }

# Waits for the n-th mail (by default for one) and returns all, oldest first.
sub mails {
    my ($self, $count, $seconds) = @_;
    $count //= 1;
    $self->wait_for(sub { $self->mail_files >= $count }, $seconds // 10 * $SLOW);
    return map { parse_mail(slurp($_)) } $self->mail_files;
}
sub mail_files {
    my ($self) = @_;
    my %when = map { $_ => (Time::HiRes::stat($_))[9] // 0 } glob "$self->{dir}/mail/box/new/*";
    my @files = sort { $when{$a} <=> $when{$b} || $a cmp $b } keys %when;
    return @files;
}

# The login code in the n-th mail to an address (in any case; by default the first), waited for.
sub login_code {
    my ($self, $address, $count) = @_;
    my @codes;
    $self->wait_for(sub {
        @codes = map { $_->{text} =~ /^ +([A-Z0-9]{6})\r?$/m } grep { lc $_->{headers}{'x-rcptto'}[0] eq lc $address }
            map { parse_mail(slurp($_)) } $self->mail_files;
        @codes >= ($count // 1);
    }, 10 * $SLOW) or croak "no login code for that address";
    return $codes[($count // 1) - 1];
}

# {headers, subject, to, from, text, html, raw} of one message.
sub parse_mail {
    my ($raw) = @_;
    my ($head, $body) = split /\r?\n\r?\n/, $raw, 2;
    my %mail = (raw => $raw, head => $head);
    for (split /\r?\n(?![ \t])/, $head) {
        my ($name, $value) = /^([^:]+):\s*(.*)/s or next;
        $value =~ s/\r?\n//g;
        push @{ $mail{headers}{ lc $name } }, $value;
    }
    $mail{$_} = decode('MIME-Header', $mail{headers}{$_}[0] // '') for qw(subject to from reply-to);
    my @parts = ($mail{headers}{'content-type'}[0] // '') =~ /boundary="?([^";]+)/
        ? map { [split /\r?\n\r?\n/, $_, 2] } grep { /\S/ && !/^--/ } split /(?:^|\r?\n)--\Q$1\E(?:\r?\n|(?=--))/, $body
        : [$head, $body];
    for (@parts) {
        my ($part_head, $part) = @$_;
        next unless defined $part && $part_head =~ /Content-Type:\s*text\/(plain|html)/i;
        my $kind = lc $1 eq 'html' ? 'html' : 'text';
        $part = decode_qp($part)     if $part_head =~ /Transfer-Encoding:\s*quoted-printable/i;
        $part = decode_base64($part) if $part_head =~ /Transfer-Encoding:\s*base64/i;
        $mail{$kind} = decode('UTF-8', $part);
    }
    return \%mail;
}

sub make_certificate {
    my ($self) = @_;
    my $dir = $self->{dir};
    $self->{option}{mail}{cert} = 1;
    return if -e "$dir/mail.pem";
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
        . "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout $dir/mail.key -out $dir/mail.pem 2>/dev/null") == 0
        or croak 'openssl failed';
    $self->write_file('ca.pem', slurp("$dir/mail.pem"));
}

# ---- small things

sub wait_for {
    my ($self, $check, $seconds, $pause) = @_;
    my $end = time + ($seconds // 10 * $SLOW);
    while (1) {
        my $result = $check->();
        return $result if $result;
        return if time > $end;
        sleep($pause // 0.02);
    }
}

sub write_file {
    my ($self, $name, $text) = @_;
    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
    open my $file, '>', "$path.new" or croak "$path: $!";
    print $file encode('UTF-8', $text);
    close $file;
    rename "$path.new", $path or croak "$path: $!";
    return $path;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or return;
    local $/;
    return <$file> // '';
}
sub log_text { my ($self, $name) = @_; slurp("$self->{dir}/" . ($name // 'error.log')) // '' }

# Lines of the error log that a test provokes on purpose.
sub tolerate { my ($self, @patterns) = @_; push @{ $self->{tolerated} }, @patterns }

# ---- what answers are compared with

sub json_of { my ($response) = @_; eval { $JSON->decode(ref $response ? $response->content : $response) } }

# The names of an object's members in the order sent; of the member at `path` below it.
sub keys_of {
    my ($text, @path) = @_;
    $text = $text->content if ref $text;
    my ($depth, @stack, @keys) = (0);
    my $want = join '/', @path;
    while ($text =~ /\G\s*(?:("(?:[^"\\]|\\.)*")(\s*:)?|([{\[])|([}\]])|([,])|([^\s{}\[\],:"]+))/gc) {
        my ($string, $colon, $open, $close) = ($1, $2, $3, $4);
        if (defined $colon) {
            my $key = $JSON->decode($string);
            $stack[-1] = $key if @stack;
            push @keys, $key if $want eq join '/', map { $_ // '' } @stack[0 .. $#stack - 1];
        }
        push @stack, undef if $open;
        pop @stack if $close;
    }
    return @keys;
}

sub is_status {
    my ($response, $status, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::is($response->code, $status, $name // "status $status")
        or Test::More::diag(substr $response->as_string, 0, 1500);
}

# Status and JSON body, as values; a string is compared as it is.
sub is_answer {
    my ($response, $status, $body, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $name //= "answer $status";
    my $ok = Test::More::is($response->code, $status, "$name: status");
    $ok &= ref $body
        ? Test::More::is_deeply(json_of($response), $body, "$name: body")
        : Test::More::is($response->content, $body, "$name: body");
    Test::More::diag(substr $response->as_string, 0, 1500) unless $ok;
    return $ok;
}

# ---- the end

sub shut_down {
    my ($self) = @_;
    return if $self->{down}++;
    $self->stop($_) for qw(nginx helper smtp redis postgres), grep { /^(?:echo|receiver|proxy)/ } keys %{ $self->{pid} };
    # whatever outlived its parent
    for (@{ $self->{groups} }) {
        my ($name, $pid) = @$_;
        $self->wait_for(sub { !kill 0, -$pid }, 3, 0.01) and next;
        push @{ $self->{stuck} }, $name;
        kill 'KILL', -$pid;
    }
    CORE::delete $alive{$self};
}

# What of the answers seen is not as the OpenAPI document says.
sub unlike_openapi {
    my ($self) = @_;
    my @seen = values %{ $self->{seen} // {} } or return '';
    # one character a byte, whatever Perl has made of it
    my $file = $self->write_file('answers.jsonl', join '', map { decode('UTF-8', $JSON->encode($_)) . "\n" } @seen);
    my ($code, $found) = $self->run('python', $PYTHON, "$ROOT/t/lib/openapi_check.py", "$BUILD/openapi.json", $file);
    return $code ? "openapi_check.py: exit $code: $found" : join "\n", sort split /\n/, decode('UTF-8', $found);
}

# The data, as text.
sub dump_database {
    my ($self) = @_;
    $self->start('postgres') unless $self->{pid}{postgres};
    my ($code, undef, $dump, $trouble) = $self->run('pg_dump', "$PGBIN/pg_dump", '--data-only', '--schema=portal',
        '-h', "$self->{dir}/pg", '-p', $self->{postgres_port}, '-U', 'postgres', 'portal');
    croak "pg_dump: $trouble" if $code;
    return $dump;
}

# The lines in which a credential of this run is in clear: of a log, of the database, of what Redis was told. Stops all who
# may write there.
sub leaks {
    my ($self) = @_;
    my ($dir, $credentials) = @$self{qw(dir credentials)};
    $self->stop($_) for qw(nginx helper redis);
    my $dump = $self->{option}{unsearched} ? '' : $self->dump_database;
    $credentials->see_secret_file(slurp($_)) for glob "$dir/secret*";
    $credentials->see_login($self->{option}{mail}{auth}) if $self->{option}{mail}{auth};
    $credentials->see_mail($_->{text}) for map { parse_mail(slurp($_)) } $self->mail_files;
    my @logs = grep { !/^smtp/ && !($ENV{PORTAL_T_DEBUG} && $_ eq 'error.log') } map { s{.*/}{}r } glob "$dir/*.log";
    return join "\n", $credentials->leaks('the database' => \$dump, map { $_ => \$self->log_text($_) } @logs);
}

# Stops everything, adds the standing checks and ends the test file.
sub done {
    my ($self) = @_;
    my $leaks = $self->leaks;
    $self->shut_down;
    my @bad = grep { /\[(?:alert|emerg)\]/ } split /\n/, $self->log_text;
    for my $pattern (@{ $self->{tolerated} }) { @bad = grep { !/$pattern/ } @bad }
    Test::More::is(join("\n", @bad), '', 'no alerts in the error log');
    my @reports = glob "$self->{dir}/sanitizer.*";
    my $found = join "\n", map({ slurp($_) } @reports),
        grep { /Sanitizer|runtime error:/ } split /\n/, join '', map { $self->log_text($_) } qw(error.log nginx.log helper.log);
    Test::More::is(substr($found, 0, 8000), '', 'no sanitizer report');
    Test::More::is(join(' ', @{ $self->{stuck} // [] }), '', 'no process left behind');
    Test::More::is(join("\n", @{ $self->{crashed} // [] }), '', 'no process ended otherwise than it was told');
    Test::More::is($self->unlike_openapi, '', 'answers match the OpenAPI document');
    my @leaks;
    for my $log (qw(error.log access.log nginx.log helper.log postgres.log)) {
        next if $ENV{PORTAL_T_DEBUG} && $log eq 'error.log';
        push @leaks, grep { /$TOKEN|whsec_\w{8}|\@example\.com/ } map { "$log: $_" } split /\n/, $self->log_text($log);
    }
    Test::More::is($leaks, '', 'no credential in a log, in the database or in what Redis was told');
    Test::More::is(join("\n", @leaks[0 .. ($#leaks > 3 ? 3 : $#leaks)]), '', 'no token and no address in a log');
    Test::More::done_testing() unless $self->{part};
    $self->{passed} = Test::More->builder->is_passing;
    Test::More::diag(map { "error.log: $_\n" } grep { /\[(?:err|crit|alert|emerg|error)\]/ } split /\n/, $self->log_text)
        if !$self->{passed};
    $self->clean;
}

sub clean {
    my ($self) = @_;
    return Test::More::diag("left $self->{dir}") if $ENV{PORTAL_T_LEAVE};
    remove_tree($self->{dir});
}

END {
    my $status = $?;
    for my $left (grep { $_->{owner} == $$ } values %alive) {
        Test::More::diag("error.log: ", substr $left->log_text, -3000) if length $left->log_text;
        $left->shut_down;
        $left->clean;
    }
    $? = $status;
}
$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);

1;

__END__

=encoding utf8

=head1 NAME

PortalTest - the whole product on private servers, for one test file

=head1 SYNOPSIS

    use strict; use warnings; use utf8;
    use Test::More;
    use PortalTest;

    my $t = PortalTest->new;
    my $workspace = $t->workspace;
    my $token = $t->token($workspace, 'client_portal:read');
    my $answer = $t->get('/api/v1/client-portal/config', token => $token);
    is_status($answer, 200);
    is(json_of($answer)->{data}{portal_name}, 'Client Portal');
    $t->done;

=head1 DESCRIPTION

C<new> starts, in a directory of its own and on free ports: PostgreSQL (a copy of a migrated cluster, so that this
takes a fraction of a second), Redis, a mail server that keeps what it gets in a Maildir, portal-helper, and nginx with
two workers and the module. C<done> stops them, adds the standing tests (no C<[alert]> or C<[emerg]> in the error log,
no sanitizer report, no process left, no address in a log, no credential in a log, in the database or in what Redis was
told (F<Credentials.pm>), answers match the OpenAPI document) and ends the plan.

The last is about every answer of C<portal_api> that came through C<request raw at_once ask apart>: its path, method, status,
headers and body are compared with F<openapi.json> of the build (joined from F<src/api/openapi>), and so is the body of a
request that was answered 2xx. An answer of nginx's own or of the site's is not looked at.

Files may run side by side (C<prove -j2>).

=head2 Options of new

=over

=item workers, redis => 0, helper => 0, nginx => 0

How many workers; servers not to start. C<< redis => 0 >> also leaves C<portal_redis> out.

=item redis_budget

nginx's own default unless told; more where the machine may be too busy for it, and no test is about Redis.

=item proxy => ['redis', 'postgres']

Before these stands a proxy that can break their answers: C<< $t->proxy('redis')->mode('reset') >>, see F<FaultProxy.pm>.

=item http, server, location, globals

nginx configuration for these places. C<%%DIR%% %%BUILD%% %%PORT%% %%H2PORT%% %%URL%% %%POSTGRES%%> are replaced.
The server honours C<X-Real-IP> from 127.0.0.1, so a test can be many addresses.

=item conf

A whole nginx configuration instead of the usual one.

=item mail => { starttls => 1, tls => 1, auth => 'user:password' }

What the mail server insists on; the helper is configured to match.

=item unsearched => 'why'

Credentials are searched for in the logs alone: recording what Redis is told costs it half its speed, and a dump of a
million rows takes its time.

=item toml, toml_mail

Lines for the helper's file, at the top and in C<[mail]>.

=back

=head2 Environment

C<PORTAL_BUILD> the build directory; C<PORTAL_ASAN=1> that build is sanitized; C<PORTAL_T_DEBUG=1> C<error_log debug>;
C<PORTAL_T_LEAVE=1> keep the directory.

=head2 Methods

C<start stop restart signal pid workers reload nginx_test> for servers named postgres, redis, smtp, helper, nginx;
C<ctl ctl_run> portalctl; C<workspace token token_id customer member session contact company insert db value row redis> data;
C<request get post patch delete raw connect bytes ask at_once read_all parse echo> HTTP; C<mail_mode mails> mail;
C<login_code> the code of a mail;
C<apart> runs code in a process of its own;
C<wait_for write_file log_text tolerate> the rest. C<json_of keys_of is_answer is_status> are exported.

=cut
