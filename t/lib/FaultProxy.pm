package FaultProxy;
# A proxy before Redis or PostgreSQL that breaks their answers on demand (t/lib/fault_proxy.py says how). nginx and the
# helper go through it, the test itself does not.
#
#     my $t = PortalTest->new(proxy => ['redis']);
#     $t->proxy('redis')->mode('delay 400');    pass, delay MS, cut BYTES, hold, reset, garbage [HEX]
use strict; use warnings; use utf8;
use Carp qw(croak);
use PortalTest;

sub new {
    my ($class, $t, $server) = @_;
    my $self = bless { t => $t, port => $t->free_port, control => $t->free_port }, $class;
    my $to = $server eq 'postgres' ? $t->dir . "/pg/.s.PGSQL.$t->{postgres_port}" : "127.0.0.1:$t->{redis_port}";
    $t->spawn("proxy-$server", [], '/usr/bin/python3', PortalTest::root() . '/t/lib/fault_proxy.py',
        '--port', $self->{port}, '--control', $self->{control}, '--to', $to);
    $t->wait_for(sub { $t->connects($self->{control}) }) or croak "the proxy does not start: " . $t->last_words("proxy-$server");
    return $self;
}

sub port { $_[0]{port} }

# Returns when it is so for every connection.
sub mode {
    my ($self, $mode) = @_;
    my $control = $self->{t}->connect($self->{control});
    print $control "$mode\n";
    ($self->{t}->read_all($control) // '') eq "ok\n" or croak "the proxy knows no mode $mode";
}

1;
