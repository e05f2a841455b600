package Credentials;

# Whatever lets somebody in that a test file has made, and the search for it where it must not be: in a log, in a dump
# of the database, in what Redis was told.
#
#     my $credentials = Credentials->new;
#     $credentials->see($text);                          # takes those out that it knows by their looks
#     $credentials->know($value => 'what it is');        # one that looks like nothing
#     my @leaks = $credentials->leaks('error.log' => $text, …);
#
# Known by their looks are tokens, webhooks' secrets, assertions, a choice's token and a stream's ticket in an answer, and
# the code in a mail. Something that looks like a token or a webhook's secret is a leak whether it was seen or not.
#
# In clear by contract, and so not searched for:
# - a challenge's id (the cookie of a login): it opens nothing without the code, and is a row's id
# - the ids of sessions, tokens and requests
# - what the mail server and a receiver of webhooks got (smtp.log, the Maildir): that is whom they are for

use strict;
use warnings;
use utf8;

use MIME::Base64 qw(encode_base64);

my $TOKEN     = qr/portal_(?:oat|cst|mst|cpt)_[A-Za-z0-9_-]{48}/;
my $SECRET    = qr{whsec_[A-Za-z0-9+/]{24,}=*};
my $ASSERTION = qr/eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{40,}/;
my $MEMBER    = qr/"(?:selection_token|ticket)"\s*:\s*"([A-Za-z0-9._-]{20,})"/;
my $CODE      = qr/^ +([A-Z0-9]{6})\r?$/m;

sub new { bless { known => {} }, shift }

# What each is, by its value.
sub known { $_[0]{known} }
sub know  { my ($self, %what) = @_; $self->{known}{$_} = $what{$_} for grep { length } keys %what }

sub see {
    my ($self, $text) = @_;
    return unless defined $text;
    $self->{known}{$1} = 'a token'             while $text =~ /($TOKEN)/g;
    $self->{known}{$1} = "a webhook's secret"  while $text =~ /($SECRET)/g;
    $self->{known}{$1} = 'an assertion'        while $text =~ /($ASSERTION)/g;
    $self->{known}{$1} = 'a ticket or a choice' while $text =~ /$MEMBER/g;
}

# The code of a login, too: six characters alone in a line.
sub see_mail {
    my ($self, $text) = @_;
    $self->see($text);
    $self->{known}{$1} = "a login's code" while $text =~ /$CODE/g;
}

# The keys of a secret file.
sub see_secret_file {
    my ($self, $text) = @_;
    $self->{known}{$1} = 'a server secret' while $text =~ /^\w+ \w+ (\S+)$/mg;
}

# The password of `user:password`, also as a mail client says it.
sub see_login {
    my ($self, $login) = @_;
    my ($user, $password) = split /:/, $login, 2;
    $self->know(map { $_ => 'a password' } $password, encode_base64("\0$user\0$password", ''), encode_base64($password, ''));
}

# The lines that hold one, each as "place: what it is: what stands before it". Values are not quoted.
sub leaks {
    my ($self, %place) = @_;
    # those that are found by their looks are left out: thousands of alternatives take minutes
    my @others = grep { !/\A(?:$TOKEN|$SECRET)\z/ } keys %{ $self->{known} };
    my $any = join '|', map { quotemeta } sort { length $b <=> length $a } @others;
    my $known = length $any ? qr/(?<![A-Za-z0-9])($any)(?![A-Za-z0-9])/ : qr/(?!)/;
    my @found;
    for my $name (sort keys %place) {
        my $text = ref $place{$name} ? $place{$name} : \$place{$name};
        for my $pattern ($known, qr/($TOKEN)/, qr/($SECRET)/) {
            while ($$text =~ /$pattern/g) {
                my $before = substr $$text, $-[1] > 120 ? $-[1] - 120 : 0, $-[1] > 120 ? 120 : $-[1];
                push @found, "$name: " . ($self->{known}{$1} // 'what looks like one') . ' after: '
                    . ($before =~ s/.*\n//sr =~ s/$known|$TOKEN|$SECRET/…/gr);
                last if @found > 20;
            }
        }
    }
    my %seen;
    return grep { !$seen{$_}++ } @found;
}

1;
