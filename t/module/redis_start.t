# A worker that has just started: what fails closed without Redis waits for the first connection to it.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 1, http => join ' ', map { "portal_rate_limit_class $_ 1000000 60s;" } qw(code-send code-mail));
my $ws = $t->workspace;
my $made = 0;
sub code_request {
    my ($name) = @_;
    my $begun = time;
    my $answer = $t->post('/api/customer-portal/customer-session/request', json => { email => $name . ++$made . '@example.org', workspace_id => $ws->{id} },
        headers => { Connection => 'close' });    # one kept alive may be closed by the worker that goes while it is used
    return [$answer->code, time - $begun, $answer->header('Retry-After')];
}

subtest 'reloads refuse nobody' => sub {
    my @clients = map { my $name = "c$_-"; $t->apart(sub {
        my %count;
        until (-e "$t->{dir}/stop") { my ($code) = @{ code_request($name) }; ++$count{$code} }
        return \%count;
    }) } 1 .. 2;
    $t->reload for 1 .. 10;
    $t->write_file('stop', '');
    my @counts = map { $_->() } @clients;
    is_deeply([map { keys %$_ } @counts], [202, 202], join ' and ', map { (values %$_)[0] } @counts) or diag explain \@counts;
};

subtest 'Redis is slow to answer the first time' => sub {
    $t->stop('nginx');
    $t->signal('redis', 'STOP');
    $t->start('nginx');
    my $waiting = $t->apart(sub { code_request('slow') });
    sleep 0.1;
    $t->signal('redis', 'CONT');
    my ($code, $took) = @{ $waiting->() };
    is($code, 202, 'it is waited for');
    cmp_ok($took, '>=', 0.05, sprintf 'for %.0f ms', 1000 * $took);
};

subtest 'Redis does not answer' => sub {
    $t->stop('nginx');
    $t->signal('redis', 'STOP');
    $t->start('nginx');
    my ($code, $took, $again) = @{ code_request('never') };
    is_deeply([$code, $again], [503, 1], 'refused');
    cmp_ok($took, '>=', 0.2, sprintf 'after the time budget, %.0f ms', 1000 * $took);
    cmp_ok($took, '<', 0.9, 'and no longer');
    $t->signal('redis', 'CONT');
    ok($t->wait_for(sub { code_request('later')->[0] == 202 }, 10), 'and heals');
};

$t->done;
