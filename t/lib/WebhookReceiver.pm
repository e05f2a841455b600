package WebhookReceiver;

# A real receiver of webhooks, in a process of its own: any number of connections, kept alive.
#
#     my $receiver = WebhookReceiver->new($t);
#     $receiver->url('ok')            http://127.0.0.1:PORT/ok
#     $receiver->requests             what has come: {path, headers, body, at, connection}, oldest first
#
# How it answers is the path's first word: ok (204), status/N, hang (never), retry/AFTER (429), redirect (302 to /ok),
# slow/SECONDS (204, and nobody else is heard meanwhile), huge (200 with 10 MB), flip/N (500 the first N times, then 200), head (a head without end).

use strict;
use warnings;
use utf8;

use IO::Select;
use IO::Socket::INET;
use JSON::XS;
use POSIX ();
use Time::HiRes qw(time);

my $count = 0;

# tls => { cert, key }: files; address: to listen at
sub new {
    my ($class, $t, %option) = @_;
    my $port = $t->free_port;
    my $name = 'receiver' . ++$count;
    my $self = bless { t => $t, port => $port, name => $name, tls => $option{tls}, log => $t->dir . "/$name.requests" }, $class;
    open my $log, '>', $self->{log} or die "$self->{log}: $!";
    my $listener = IO::Socket::INET->new(LocalAddr => $option{address} // '127.0.0.1', LocalPort => $port, Listen => 1024, ReuseAddr => 1) or die "receiver: $!";
    my $parent = $$;
    $t->db->{AutoInactiveDestroy} = 1;
    defined(my $pid = fork) or die "fork: $!";
    if (!$pid) {
        setpgrp 0, 0;
        $SIG{TERM} = 'DEFAULT';
        $SIG{PIPE} = 'IGNORE';
        $log->autoflush(1);
        @$self{qw(listener out parent)} = ($listener, $log, $parent);
        $self->serve;
        POSIX::_exit(0);
    }
    $t->{pid}{$name} = $pid;
    push @{ $t->{groups} }, [$name, $pid];
    return $self;
}

sub port { $_[0]{port} }
sub url { my ($self, $path, $host) = @_; ($self->{tls} ? 'https' : 'http') . '://' . ($host // '127.0.0.1') . ":$self->{port}/" . ($path // 'ok') }

sub requests {
    my ($self, $pattern) = @_;
    my @all = map { JSON::XS->new->decode($_) } grep { length } split /\n/, PortalTest::slurp($self->{log});
    return grep { !defined $pattern || $_->{path} =~ $pattern } @all;
}
# Waits for n requests of these paths, and gives them.
sub await {
    my ($self, $pattern, $n, $seconds) = @_;
    $self->{t}->wait_for(sub { $self->requests($pattern) >= $n }, $seconds // 10, 0.05);
    return $self->requests($pattern);
}

sub serve {
    my ($self) = @_;
    my $select = IO::Select->new($self->{listener});
    my (%buffer, %number, %seen, $connections);
    while (getppid == $self->{parent}) {
        for my $socket ($select->can_read(0.5)) {
            if ($socket == $self->{listener}) {
                my $client = $socket->accept or next;
                if (my $tls = $self->{tls}) {
                    require IO::Socket::SSL;
                    IO::Socket::SSL->start_SSL($client, SSL_server => 1, SSL_cert_file => $tls->{cert}, SSL_key_file => $tls->{key}) or next;
                }
                $number{$client} = ++$connections;
                $buffer{$client} = '';
                $select->add($client);
                next;
            }
            my $alive = sysread($socket, $buffer{$socket}, 65536, length $buffer{$socket});
            while ($alive && $buffer{$socket} =~ /\A(\S+) (\S+) HTTP\/1\.1\r\n(.*?)\r\n\r\n/s) {
                my ($method, $path, $head, $begin) = ($1, $2, $3, $+[0]);
                my $length = $head =~ /^Content-Length: (\d+)/mi ? $1 : 0;
                last if length $buffer{$socket} < $begin + $length;
                my $body = substr $buffer{$socket}, $begin, $length;
                substr($buffer{$socket}, 0, $begin + $length) = '';
                my %headers = map { my ($name, $value) = split /:\s*/, $_, 2; (lc $name => $value) } split /\r\n/, $head;
                syswrite $self->{out}, JSON::XS->new->canonical->ascii->encode({ method => $method, path => $path, headers => \%headers, body => $body,
                    at => time, connection => $number{$socket} }) . "\n";
                $alive = $self->answer($socket, $path, ++$seen{$path});
            }
            next if $alive;
            $select->remove($socket);
            delete $buffer{$socket};
            delete $number{$socket};
            close $socket;
        }
    }
}

# False: the connection ends.
sub answer {
    my ($self, $socket, $path, $seen) = @_;
    my (undef, $mode, $value) = split m{/}, $path;
    return 1 if $mode eq 'hang';
    if ($mode eq 'head') {
        print {$socket} "HTTP/1.1 200 OK\r\n";
        for (1 .. 2000) { syswrite($socket, "X-Filler: " . 'x' x 100 . "\r\n") or return 0 }
        return 0;
    }
    my ($status, $more, $body) = (204, '', '');
    sleep $value if $mode eq 'slow';
    $status = $value if $mode eq 'status';
    ($status, $more) = (429, "Retry-After: $value\r\n") if $mode eq 'retry';
    ($status, $more) = (302, "Location: /ok\r\n") if $mode eq 'redirect';
    $status = $seen <= $value ? 500 : 200 if $mode eq 'flip';
    ($status, $body) = (200, 'x' x 10_000_000) if $mode eq 'huge';
    my $length = $status == 204 ? '' : 'Content-Length: ' . length($body) . "\r\n";
    return syswrite($socket, "HTTP/1.1 $status X\r\n$more$length\r\n$body");
}

1;
