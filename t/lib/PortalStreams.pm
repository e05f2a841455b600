package PortalStreams;
# Many readers of event streams, in a process of their own (t/lib/stream_clients.cpp): each comes back with its last id
# whenever its stream ends.
#
#     my $streams = PortalStreams->new($t);
#     $streams->open('one', $path, token => $token);    port =>, transport => 'http' (or tls, h2)
#     $streams->all_open(1) or die;
#     $streams->ids->{one}     where it began and each id it was given, in order: [FIRST, ID…]
use strict; use warnings; use utf8;
use Carp qw(croak);
use IPC::Open2;

sub new {
    my ($class, $t) = @_;
    my $program = PortalTest::build() . '/stream_clients';
    -x $program or croak "no $program";
    my $self = bless { t => $t, opened => 0 }, $class;
    $self->{pid} = open2($self->{out}, $self->{in}, $program);
    $self->{in}->autoflush(1);
    return $self;
}

sub pid { $_[0]{pid} }

sub command {
    my ($self, @fields) = @_;
    print { $self->{in} } join("\t", @fields) . "\n";
    my $answer = readline $self->{out};
    croak "stream_clients is gone" unless defined $answer;
    chomp $answer;
    croak "stream_clients: @fields" if $answer eq 'what?';
    return $answer;
}

sub open {
    my ($self, $name, $path, %option) = @_;
    my $transport = $option{transport} // 'http';
    my $port = $option{port} // ($transport eq 'h2' ? $self->{t}->h2_port : $self->{t}->port);
    $self->command('open', $name, $transport, $port, $path, $option{token} // '');
    $self->{opened}++;
}
sub stall { my ($self, $name, $seconds) = @_; $self->command('stall', $name, int 1000 * $seconds) }

# {open, events, resets, byes, openings}
sub told {
    my ($self) = @_;
    my %told;
    @told{qw(open events resets byes openings)} = split / /, $self->command('told');
    return \%told;
}
# {count, p50, p99, last}: milliseconds from the "at" of events to their arrival, since forget()
sub times {
    my ($self) = @_;
    my %times;
    @times{qw(count p50 p99 last)} = split / /, $self->command('times');
    return \%times;
}
sub forget { $_[0]->command('forget') }
# status => how often, of answers that were not 200; 1 is any such over HTTP/2
sub statuses { my ($self) = @_; return { map { split /:/ } split / /, $self->command('statuses') } }

sub all_open {
    my ($self, $seconds) = @_;
    return $self->{t}->wait_for(sub { $self->told->{open} == $self->{opened} }, $seconds // 20, 0.05);
}

# NAME => [FIRST, ID…]
sub ids {
    my ($self) = @_;
    my $file = $self->{t}->dir . '/ids';
    $self->command('ids', $file);
    return { map { my ($name, @ids) = split / /; ($name => \@ids) } split /\n/, PortalTest::slurp($file) };
}

# Of each reader what it was given beside what the database has for its audiences; names => [audience…]. Waits until they
# are the same, and gives what is not: "" when all is well.
sub unlike_database {
    my ($self, $workspace, $names, $seconds) = @_;
    my $t = $self->{t};
    $t->wait_for(sub { !$t->value('SELECT count(*) FROM portal.events WHERE number IS NULL') }, 20, 0.05)
        or return 'events without a number';
    my %number;
    my $rows = $t->db->selectall_arrayref(q(SELECT audience, number FROM portal.event_audiences WHERE workspace_id = ?
        ORDER BY number), undef, $workspace->{id});
    push @{ $number{ $_->[0] } }, $_->[1] for @$rows;
    my @unlike;
    $t->wait_for(sub {
        my $ids = $self->ids;
        @unlike = ();
        for my $name (sort keys %$names) {
            my ($first, @got) = @{ $ids->{$name} };
            my %mine = map { $_ => 1 } grep { $_ > $first } map { @{ $number{$_} // [] } } @{ $names->{$name} };
            my @want = sort { $a <=> $b } keys %mine;
            next if "@got" eq "@want";
            my %got = map { $_ => 1 } @got;
            my %extra;
            push @unlike, "$name from $first: missing " . join(' ', grep { !$got{$_} } @want) . '; twice '
                . join(' ', grep { ++$extra{$_} > 1 } @got) . '; not its own ' . join(' ', grep { !$mine{$_} } @got);
        }
        return !@unlike;
    }, $seconds // 15, 0.3);
    return join "\n", @unlike[0 .. ($#unlike < 4 ? $#unlike : 4)];
}

sub close {
    my ($self) = @_;
    kill 'TERM', $self->{pid};    # others may have inherited its input
    waitpid $self->{pid}, 0;
}

1;
