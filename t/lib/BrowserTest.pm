package BrowserTest;

# The page in a real browser: a script beside the test file drives Chromium by Playwright, and asks this side for what
# only it can do: mail, data, servers. See the POD below.

use strict;
use warnings;
use utf8;

use Carp qw(croak);
use Fcntl qw(:flock);
use File::Path qw(make_path);
use IPC::Open2 qw(open2);
use JSON::XS;
use PortalTest;
use Test::More ();

my $ROOT = PortalTest::root();
my $JSON = JSON::XS->new->utf8->canonical->allow_nonref;

# The servers, with the page. Options are PortalTest's.
sub new {
    my ($class, %option) = @_;
    my $page = PortalTest::build() . '/page';
    system('bash', "$ROOT/src/web/build", $page) == 0 or croak 'src/web/build failed';
    install();
    make_path(PortalTest::build() . '/screens');
    $option{http} = "portal_page_files $page; " . ($option{http} // '');
    $option{location} = 'location / { portal_page; portal_workspace any; } ' . ($option{location} // '');
    return PortalTest->new(redis_budget => '2s', %option);    # a browser that starts leaves Redis little of the machine
}

# What the scripts need of npm, once for each lock file.
sub install {
    my $here = "$ROOT/t/browser";
    open my $lock, '>', PortalTest::build() . '/.browser-lock' or croak "lock: $!";
    flock $lock, LOCK_EX;
    return if (slurp("$here/package-lock.json") // '') eq (slurp("$here/node_modules/.portal-lock") // '-');
    system("cd '$here' && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2"
        . ' && cp package-lock.json node_modules/.portal-lock') == 0 or croak 'npm ci failed';
}

# Runs t/browser/NAME.js with the data, and does what it asks for: each verb is a sub.
sub drive {
    my ($t, $name, $data, %verb) = @_;
    my %known = (
        code  => sub { $t->login_code(@_) },
        value => sub { $t->value(@_) },
        row   => sub { $t->row(@_) },
        %verb,
    );
    local $ENV{PORTAL_SCREENS} = PortalTest::build() . '/screens';
    my $pid = open2(my $from, my $to, 'node', "$ROOT/t/browser/$name.js");
    $to->autoflush(1);
    print $to $JSON->encode({ url => $t->base_url, %$data }), "\n";
    while (my $line = <$from>) {
        my $said = eval { $JSON->decode($line) };
        if (ref $said ne 'HASH') {
            Test::More::diag($line);
        } elsif (exists $said->{ok}) {
            Test::More::ok($said->{ok}, $said->{name}) or Test::More::diag($said->{why});
        } elsif (my $do = $known{ $said->{do} }) {
            my $answer = eval { { answer => scalar $do->(@{ $said->{with} }) } } // { error => "$@" };
            print $to $JSON->encode($answer), "\n";
        } else {
            print $to $JSON->encode({ error => "no verb $said->{do}" }), "\n";
        }
    }
    waitpid $pid, 0;
    Test::More::is($?, 0, "$name.js came to its end");
}

1;

__END__

=encoding utf8

=head1 NAME

BrowserTest - the page in Chromium, driven by a script

=head1 SYNOPSIS

    my $t = BrowserTest->new;
    my $workspace = $t->workspace(name => 'Acme');
    BrowserTest::drive($t, 'files', { slug => $workspace->{slug} }, file => sub { ... });
    $t->done;

=head1 DESCRIPTION

C<new> builds the page (F<src/web/build>), and gives a PortalTest whose nginx serves it. C<drive> starts F<t/browser/NAME.js>
by node: the script gets C<data> as one line of JSON, and writes lines of JSON: C<{ok, name, why}> becomes a test,
C<{do, with}> is answered by the verb of that name with C<{answer}> or C<{error}>. C<code>, C<value> and C<row> are always
there. F<t/browser/lib/page.js> is the other end.

=cut
