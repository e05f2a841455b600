package PortalStream;
# A client of an event stream: a socket of our own over HTTP/1.1, curl over HTTP/2.
use strict; use warnings; use utf8;
use Carp qw(croak);
use IO::Select;
use Time::HiRes qw(time);

# $path with PortalTest's token => and headers => [...]; h2 => 1 by HTTP/2
sub new {
    my ($class, $t, $path, %option) = @_;
    my $self = bless { raw => '', text => '', head => undef, at => 0, h2 => $option{h2} }, $class;
    my @headers = @{ $option{headers} // [] };
    push @headers, Authorization => "Bearer $option{token}" if $option{token};
    if ($option{h2}) {
        my @command = (qw(curl -sS -i -N --http2-prior-knowledge), "http://127.0.0.1:@{[$t->h2_port]}$path");
        while (my ($name, $value) = splice @headers, 0, 2) { push @command, '-H', "$name: $value" }
        $self->{pid} = open $self->{socket}, '-|', @command or croak "curl: $!";
    } else {
        $self->{socket} = $t->connect($option{port} // $t->port);
        my $request = "GET $path HTTP/1.1\r\nHost: localhost\r\n";
        while (my ($name, $value) = splice @headers, 0, 2) { $request .= "$name: $value\r\n" }
        print { $self->{socket} } "$request\r\n";
    }
    $self->{socket}->blocking(0);
    return $self;
}

sub write { my ($self, $bytes) = @_; print { $self->{socket} } $bytes }

# Reads what comes within the time; false at the end of the stream.
sub read_some {
    my ($self, $seconds) = @_;
    return 0 if $self->{eof};
    IO::Select->new($self->{socket})->can_read($seconds) or return 1;
    my $size = sysread $self->{socket}, my $bytes, 65536;
    if (!defined $size) { return 1 if $!{EAGAIN}; $self->{eof} = 1; $self->{broken} = 1; return 0 }
    if ($size == 0) { $self->{eof} = 1 }
    $self->{raw} .= $bytes;
    $self->decode;
    return !$self->{eof};
}

sub decode {
    my ($self) = @_;
    if (!defined $self->{head}) {
        $self->{raw} =~ s/\A(.*?)\r\n\r\n//s or return;
        $self->{head} = $1;
        $self->{chunked} = $self->{head} =~ /^transfer-encoding:\s*chunked/mi;
    }
    if (!$self->{chunked}) { $self->{text} .= $self->{raw}; $self->{raw} = ''; return }
    while ($self->{raw} =~ /\A([0-9a-f]+)\r\n/i) {
        my ($head, $size) = ($+[0], hex $1);
        return if length $self->{raw} < $head + $size + 2;
        $self->{text} .= substr $self->{raw}, $head, $size;
        $self->{whole} = 1 if $size == 0;
        substr($self->{raw}, 0, $head + $size + 2) = '';
    }
}

sub until_true {
    my ($self, $seconds, $check) = @_;
    my $end = time + $seconds;
    while (1) {
        my $value = $check->();
        return $value if $value;
        return undef if time > $end || $self->{eof};
        $self->read_some(0.2);
    }
}

sub status { my ($self) = @_; $self->until_true(5, sub { defined $self->{head} }); ($self->{head} // '') =~ m{^HTTP/\S+ (\d+)} ? $1 : 0 }
sub header { my ($self, $name) = @_; $self->status; $self->{head} =~ /^\Q$name\E:\s*(.*?)\r?$/mi ? $1 : undef }
sub wait_for_text {
    my ($self, $pattern, $seconds) = @_;
    $self->until_true($seconds // 5, sub { $self->{text} =~ $pattern }) or croak "no $pattern in: $self->{text}";
}
sub started { my ($self) = @_; $self->wait_for_text(qr/^: /m) }

# The next event with data: {id, event, data}; undef when none comes.
sub next_event {
    my ($self, $seconds) = @_;
    return $self->until_true($seconds // 5, sub {
        while ((my $end = index $self->{text}, "\n\n", $self->{at}) >= 0) {
            my $block = substr $self->{text}, $self->{at}, $end - $self->{at};
            $self->{at} = $end + 2;
            if ($self->{at} > 1_000_000) { substr($self->{text}, 0, $self->{at}) = ''; $self->{at} = 0 }
            my %field = map { /^(id|event|data): (.*)$/ ? ($1 => $2) : () } split /\n/, $block;
            return \%field if defined $field{data};
        }
        return undef;
    });
}

# What else comes until the stream ends; undef when it does not end.
sub rest {
    my ($self, $seconds) = @_;
    $self->until_true($seconds // 5, sub { $self->{eof} || $self->{whole} });
    return undef unless $self->{eof} || $self->{whole};
    return substr $self->{text}, $self->{at};
}
# Whether it has ended as it should: with a last chunk where there are chunks.
sub ended {
    my ($self) = @_;
    $self->rest;
    return 0 if $self->{broken} || !($self->{eof} || $self->{whole});
    return !$self->{chunked} || $self->{whole} ? 1 : 0;
}
sub close {
    my ($self) = @_;
    kill 'TERM', $self->{pid} if $self->{pid};
    CORE::close $self->{socket};
}

1;
