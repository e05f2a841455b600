# portalctl webhook: endpoints, what was sent, and a receiver for who writes one.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use Time::HiRes qw(time sleep);

my $t = PortalTest->new(nginx => 0, redis => 0, toml => qq([webhooks]\nallow = ["127.0.0.0/8"]\nhttp_hosts = ["127.0.0.1"]\n));
my $ws = $t->workspace(slug => 'acme');
my $port = $t->free_port;
my @acme = qw(-w acme);

sub webhook { my ($verb, @rest) = @_; $t->ctl('webhook', $verb, @acme, @rest) }
sub refused { my ($name, $code, $pattern, @arguments) = @_;
    my ($got, $both) = $t->ctl_run('webhook', @arguments);
    is($got, $code, $name);
    like($both, $pattern, "$name: says why") }

my $made;
subtest 'endpoints' => sub {
    $made = webhook(add => "http://127.0.0.1:$port/x", '-e', 'customer.created,payment.updated');
    is_deeply($made->{event_types}, ['customer.created', 'payment.updated']);
    like($made->{secret}, qr/^whsec_/, 'its secret');
    is(webhook(add => 'https://hooks.example.com/', '-e', 'all')->{event_types}, undef, 'all events');
    my (undef, undef, $text) = $t->ctl_run(qw(webhook add -w acme https://hooks.example.com/b));
    like($text, qr/\nThe secret, shown only now:\nwhsec_\S+\n\z/, 'for people');
    is(webhook('list')->{meta}{total}, 3);
    (undef, undef, $text) = $t->ctl_run(qw(webhook list -w acme));
    like($text, qr{\Q$made->{id}\E +http://127\.0\.0\.1:$port/x +customer\.created payment\.updated +yes}, 'as a table');
    unlike($text, qr/whsec_/, 'without secrets');
    refused('a private address', 1, qr/url: The address of the URL is not public\./, qw(add -w acme https://10.0.0.1/));
    refused('an unknown event', 1, qr/event_types/, qw(add -w acme https://hooks.example.com/ -e nonsense));
    refused('no such endpoint', 1, qr/Not found/, qw(test -w acme 8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001));
    refused('no id', 1, qr/Not found/, qw(delete -w acme nonsense));
    refused('nothing to change', 2, qr/nothing to change/, 'update', @acme, $made->{id});
    ok(!webhook(update => $made->{id}, '--enabled', 'off')->{enabled}, 'disabled');
    refused('a test of one that is disabled', 1, qr/The endpoint is disabled/, 'test', @acme, $made->{id});
    ok(webhook(update => $made->{id}, '--enabled', 'on')->{enabled}, 'enabled');
    my $gone = webhook(add => 'https://hooks.example.com/c')->{id};
    is_deeply(webhook(delete => $gone), { deleted => $gone });
};

# listens in the background; gives a sub that returns its exit code and what it printed
sub listen_for {
    my ($count, @option) = @_;
    my @command = (PortalTest::build() . '/portalctl', qw(webhook listen --port), $port, '--count', $count, @option);
    my $result = $t->apart(sub { $t->{runs} += 1_000_000; $t->run('ctl', @command) });    # files of its own
    ok($t->wait_for(sub { $t->connects($port) }, 5), 'it listens');
    return $result;
}

subtest 'a receiver' => sub {
    my $result = listen_for(2, '--secret', $made->{secret}, '--json');
    my $sent = webhook(test => $made->{id});
    is($sent->{type}, 'webhook.test');
    my $delivery;
    ok($t->wait_for(sub { $delivery = webhook('deliveries', '--event-id', $sent->{event_id})->{data}[0]; $delivery->{state} eq 'succeeded' }, 10, 0.1), 'arrives')
        or diag explain $delivery;
    is($delivery->{log}[0]{status}, 204, 'answered 204');
    my $again = webhook(redeliver => $sent->{event_id}, '--endpoint', $made->{id});
    is_deeply([map { $_->{event_id} } @{ $again->{deliveries} }], [$sent->{event_id}], 'sent again');
    my ($code, undef, $out) = $result->();
    is($code, 0, 'all were good') or diag $out;
    my @lines = map { JSON::XS->new->decode($_) } split /\n/, $out;
    is_deeply([map { "$_->{id} $_->{verified} $_->{body}{type}" } @lines], [("$sent->{event_id} 1 webhook.test") x 2], 'printed');
    my (undef, undef, $table) = $t->ctl_run('webhook', 'deliveries', @acme, '--state', 'succeeded');
    like($table, qr/^\Q$sent->{event_id}\E +webhook\.test +\Q$made->{id}\E +succeeded +1 +- +204$/m, 'the table of deliveries');
};

subtest 'a receiver with another secret' => sub {
    my $file = $t->write_file('webhook.secret', 'whsec_' . 'A' x 32 . "\n");
    my $other = webhook(secret => $made->{id}, '--secret-file', $file)->{secret};
    is($other, 'whsec_' . 'A' x 32, 'rotated to one of one\'s own, from a file');
    refused('a secret and a file', 2, qr/--secret/, 'secret', @acme, $made->{id}, '--secret', $other, '--secret-file', $file);
    refused('a file that is not there', 1, qr{/nonexistent}, 'secret', @acme, $made->{id}, '--secret-file', '/nonexistent');
    refused('an empty file', 1, qr/secret/, 'secret', @acme, $made->{id}, '--secret-file', '/dev/null');
    my $result = listen_for(1, '--secret-file', $file);
    webhook(test => $made->{id});
    my ($code, undef, $out) = $result->();
    is($code, 0, 'the new one') or diag $out;
    like($out, qr/^verified +evt_\S+ +webhook\.test\n/);
    $result = listen_for(1, '--secret', 'whsec_' . 'B' x 32);
    my $sent = webhook(test => $made->{id});
    ($code, undef, $out) = $result->();
    is($code, 1, 'one that is not its own');
    like($out, qr/^REFUSED +evt_\S+ +webhook\.test\n +no signature fits/);
    ok($t->wait_for(sub { (webhook('deliveries', '--event-id', $sent->{event_id})->{data}[0]{log}[0]{status} // 0) == 400 }, 10, 0.1), 'answered 400');
    refused('no secret', 2, qr/--secret or \$WEBHOOK_SECRET/, qw(listen));
    refused('no port', 2, qr/from 0 to 65535/, qw(listen --port 70000 --secret), $other);
    refused('a port that is taken', 3, qr/port \d+ of 127\.0\.0\.1: Address already in use/, qw(listen --secret), $other, '--port', $t->{smtp_port});
};

subtest 'what is not HTTP' => sub {
    my $result = listen_for(1, '--secret', 'whsec_' . 'A' x 32);
    for my $bytes ("nonsense\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "POST / HTTP/1.1\r\nno colon\r\n\r\n") {
        like($t->raw($bytes, socket => $t->connect($port)), qr{^HTTP/1\.1 400 }, 'refused');
    }
    like($t->raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n", socket => $t->connect($port)), qr{^HTTP/1\.1 400 .*a webhook is a POST}s, 'GET');
    my ($code) = $result->();
    is($code, 1);
};

$t->done;
