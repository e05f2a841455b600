package WrongCallers;

# Everybody who may not call a route of a workspace's backend, and what each is told.
#
#     my $wrong = WrongCallers->new($t, $workspace);
#     $wrong->refused(GET => '/api/customers/', 'customers:read');

use strict;
use warnings;
use utf8;

use Test::More ();
use PortalTest;

my $unauthorized = '{"error":"Unauthorized","detail":"Unauthorized"}';
my $invalid = '{"error":"invalid_token","error_description":"The access token provided is expired, revoked, malformed, '
    . 'or invalid for other reasons."}';
my $insufficient = '{"error":"insufficient_scope","error_description":"The request requires higher privileges than '
    . 'provided by the access token."}';

sub new {
    my ($class, $t, $workspace) = @_;
    my $self = bless { t => $t, workspace => $workspace, from => 0 }, $class;
    my ($revoked, $expired) = map { $t->token($workspace) } 1 .. 2;
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE id = ?', undef, $t->token_id($revoked));
    $t->db->do("UPDATE portal.workspace_access_tokens SET expires_at = now() - interval '1 s' WHERE id = ?", undef,
        $t->token_id($expired));
    my $club = $t->workspace(member_model => 1);
    my $contact = $t->contact($workspace);
    my $link = json_of($t->post('/api/v1/client-portal/token', token => $t->token($workspace, 'client_portal:write'),
        json => { type => 'contact', id => $contact->{id} }))->{token};
    $self->{bad} = { revoked => $revoked, expired => $expired, malformed => 'nonsense', forged => 'portal_oat_' . 'A' x 48 };
    $self->{kind} = { 'a customer' => $t->session($t->customer($workspace)),
        'a member' => $t->session($t->member($t->customer($club))), 'a contact' => $link };
    return $self;
}

# Each of them, with the answer's exact body and challenge. `scope`: what the route asks for; a token with every other
# is refused.
sub refused {
    my ($self, $method, $path, $scope, %option) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $t = $self->{t};
    # from a fresh address each: bad tokens are limited by it
    my $ask = sub { my ($token) = @_; $t->request($method, $path, %option, defined $token ? (token => $token) : (),
        headers => { 'X-Real-IP' => '10.9.' . int(++$self->{from} / 250) . '.' . $self->{from} % 250 }) };
    Test::More::subtest("wrong callers of $method $path" => sub {
        is_answer($ask->(), 401, $unauthorized, 'nobody');
        is_answer($ask->($self->{kind}{$_}), 401, $unauthorized, $_) for sort keys %{ $self->{kind} };
        for my $name (sort keys %{ $self->{bad} }) {
            my $answer = $ask->($self->{bad}{$name});
            is_answer($answer, 401, $invalid, "$name token");
            Test::More::like($answer->header('WWW-Authenticate'), qr/^Bearer realm="portal", error="invalid_token"/,
                'challenge');
        }
        my $answer = $ask->($self->without($scope));
        is_answer($answer, 403, $insufficient, 'every scope but this');
        Test::More::like($answer->header('WWW-Authenticate'), qr/scope="\Q$scope\E"/, 'which one');
    });
}

# A token with every scope but those that grant this one.
sub without {
    my ($self, $scope) = @_;
    my ($noun, $verb) = split /:/, $scope;
    return $self->{without}{$scope} //= $self->{t}->token($self->{workspace}, grep { $_ ne $scope && $_ ne "$noun:write" }
        qw(customer_sessions:write member_sessions:write), map { ("$_:read", "$_:write") } qw(customers members
        client_portal file_sharing payments webhooks workspaces workspace_access_tokens));
}

1;
