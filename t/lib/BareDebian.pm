package BareDebian;

# A Debian 12 with nothing on it, to install things into. See the POD below.

use strict;
use warnings;
use utf8;

use Carp qw(croak);
use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use POSIX ();
use PortalTest qw(slurp);

my $TARBALL = '/tmp/portal-t-bookworm.tar';    # what one run leaves for the next
my $CACHE   = '/tmp/portal-t-ccache';

# Where this machine gets its packages of bookworm: lines of sources.list.
sub sources {
    my %seen;
    my @lines = grep { !$seen{$_}++ } map { my ($uri, $suite, $component) = split; "deb $uri $suite $component\n" }
        grep { m{^\S+ bookworm(?:-updates|-security)? } }
        `apt-get indextargets --format '\$(REPO_URI) \$(RELEASE) \$(COMPONENT)' 'Created-By: Packages'`;
    @lines or croak 'apt of this machine has no source of bookworm';
    return @lines;
}

# The tarball of the bare system and its path. Registries are reached from it as from this machine, and what is compiled
# in it goes through a ccache in /var/cache/ccache.
sub base {
    open my $lock, '>', "$TARBALL.lock" or croak "$TARBALL.lock: $!";
    flock $lock, LOCK_EX;
    return $TARBALL if -e $TARBALL && -M $TARBALL < 7;
    my $root = tempdir('portal-t-debootstrap-XXXXXX', DIR => '/tmp');
    my ($mirror) = map { (split)[1] } grep { / bookworm main$/ } sources();
    my $made = eval {
        command('debootstrap', '--variant=minbase', '--include=ccache', 'bookworm', $root, $mirror);
        put("$root/etc/apt/sources.list", join '', sources());
        put("$root/etc/apt/apt.conf.d/90proxy", join '', grep { /^Acquire::https?::Proxy/ } `apt-config dump`);
        put("$root/etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n");
        put("$root/etc/ccache.conf", "cache_dir = /var/cache/ccache\nmax_size = 1G\n");
        put("$root/etc/npmrc", npmrc($root));
        make_path("$root/var/cache/ccache");
        remove_tree(map({ "$root/var/$_" } qw(cache/apt/archives lib/apt/lists)), { keep_root => 1 });
        chmod 0755, $root;
        command('tar', '-C', $root, '-cpf', "$TARBALL.new", '--one-file-system', '.');
        rename "$TARBALL.new", $TARBALL or croak "$TARBALL: $!";
    };
    my $error = $@;
    remove_tree($root);
    return $made ? $TARBALL : croak $error;
}

# npm's registry of this machine, and the authorities it trusts.
sub npmrc {
    my ($root) = @_;
    my %here = map { my $key = $_; chomp(my $value = `npm config get $key 2>/dev/null`); $value =~ /^(?:null|undefined|)$/ ? () : ($key => $value) }
        qw(registry cafile);
    if ($here{cafile}) {
        command('cp', '-L', $here{cafile}, "$root/etc/npm-authorities.pem");
        $here{cafile} = '/etc/npm-authorities.pem';
    }
    return join '', map { "$_=$here{$_}\n" } sort keys %here;
}

sub cache { make_path($CACHE); return $CACHE }

sub new {
    my ($class, $directory) = @_;
    my $root = "$directory/debian";
    make_path($root);
    my $self = bless { root => $root, owner => $$ }, $class;
    command('tar', '-C', $root, '-xpf', base());
    command('cp', '-L', '/etc/resolv.conf', "$root/etc/resolv.conf");
    # in namespaces of its own, held by a shell that ends with us, and everything in it with the shell
    pipe my $ours, my $ready or croak "pipe: $!";
    pipe my $held, my $hold or croak "pipe: $!";
    defined(my $pid = fork) or croak "fork: $!";
    if (!$pid) {
        open STDIN, '<&', $held;
        open STDOUT, '>&', $ready;
        close $_ for $ours, $hold;
        exec qw(unshare --mount --net --pid --fork --kill-child bash -ec), <<'SH', 'bash', $root, cache() or POSIX::_exit(127);
mount --bind "$2" "$1/var/cache/ccache"
mount --bind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=0755 tmpfs "$1/run"
ip link set lo up
echo ready
read -r || true
SH
    }
    close $_ for $ready, $held;
    @$self{qw(pid hold)} = ($pid, $hold);
    <$ours> or croak 'no namespaces can be made here';
    ($self->{inside}) = split ' ', slurp("/proc/$pid/task/$pid/children");
    return $self;
}

# Runs a script of bash as root; (exit code, its output). `online` in the network of this machine, for downloads.
sub run {
    my ($self, $script, %option) = @_;
    my $output = "$self->{root}.output";
    defined(my $pid = fork) or croak "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $output;
        open STDERR, '>&', \*STDOUT;
        exec 'nsenter', '-t', $self->{inside}, '-m', '-p', ($option{online} ? () : '-n'), '--', 'chroot', $self->{root},
            'env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root',
            'LC_ALL=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive', map({ "$_=$option{env}{$_}" } keys %{ $option{env} // {} }),
            'bash', '-ec', "cd '" . ($option{in} // '/') . "'\n$script" or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    return ($code, slurp($output));
}

sub root { $_[0]{root} }
# The words before a command that runs it on this machine but in our network.
sub in_network { my ($self) = @_; ('nsenter', '-t', $self->{inside}, '-n') }

sub write_file { my ($self, $path, $text) = @_; put("$self->{root}$path", $text) }
sub read_file  { my ($self, $path) = @_; slurp("$self->{root}$path") }

sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$ && $self->{pid};
    local $?;
    close $self->{hold};
    waitpid $self->{pid}, 0;
}

# The checkout's files as they are, built ones left out, in another directory.
sub copy_checkout {
    my ($to) = @_;
    make_path($to);
    command('bash', '-c', 'cd "$1" && { git ls-files -co --exclude-standard 2>/dev/null || find . -path "./build*" -prune -o -type f -print; }'
        . ' | tar -cT - | tar -xC "$2"', 'bash', PortalTest::root(), $to);
}

# The packages of what is built, beside a copy of the checkout in this directory.
sub make_packages {
    my ($source) = @_;
    copy_checkout($source);
    chomp(my $machine = `dpkg-architecture -q DEB_HOST_GNU_TYPE`);
    symlink PortalTest::build(), "$source/obj-$machine";
    symlink PortalTest::build() . '/page', "$source/obj-page";
    # debhelper takes the packages in it for built
    put("$source/debian/debhelper-build-stamp", join '', slurp("$source/debian/control") =~ /^Package: (\S+\n)/mg);
    command('env', '-C', $source, 'DEB_BUILD_OPTIONS=noautodbgsym', 'debian/rules', 'binary');
}

sub put {
    my ($path, $text) = @_;
    open my $file, '>:utf8', $path or croak "$path: $!";
    print $file $text;
    close $file or croak "$path: $!";
}

# A command that has to succeed.
sub command {
    my (@command) = @_;
    defined(my $pid = open my $output, '-|') or croak "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    my $told = do { local $/; <$output> } // '';
    close $output or croak "$command[0] failed: " . substr $told, -3000;
}

1;

__END__

=encoding utf8

=head1 NAME

BareDebian - a Debian 12 with nothing on it, to install things into

=head1 DESCRIPTION

C<new> unpacks into a directory what debootstrap has made (F</tmp/portal-t-bookworm.tar>, kept for a week) and gives it
namespaces of its own: services in it have the usual ports, and end with the object. Its network has nothing but itself.
Root only.

C<run> a script in it (C<< online => 1 >>: in the network of this machine; C<< in => directory >>; C<< env => {} >>);
C<write_file read_file root> its files; C<in_network> the beginning of a command that runs on this machine but in that
network.

C<base> is the tarball itself, C<cache> the directory of what was compiled in bare systems, C<copy_checkout> the sources,
C<make_packages> packages of what is built here.

=cut
