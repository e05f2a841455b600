# portalctl file-session: create, list, show, set, download, pay, payment.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my @in = ('-w', $ws->{slug});
my $customer = $t->customer($ws, external_id => 'cus_1');
my $token = $t->token($ws, 'file_sharing:write', 'payments:write');
my $path = '/api/file-sharing/sessions';

sub refused {
    my ($pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($code, undef, $out, $err) = $t->ctl_run(@arguments);
    is($code, 1, "@arguments");
    like($err, $pattern, 'says why');
}

my (undef, undef, $text) = $t->ctl_run(qw(file-session create), @in, qw(--customer cus_1 --title Drawings --file-name drawings.zip
    --file-size 1024 --max-downloads 2 --price-cents 1500 --currency eur --ttl 3600 --short-slug drawings --json));
my $session = json_of($text);
my $rest = $t->get("$path/$session->{id}", token => $token);
is($text =~ s/\n\z//r, $rest->content, 'the same object as REST\'s');
is_deeply([@$session{qw(title file_name file_size_bytes max_downloads price_cents currency ttl_seconds short_slug customer_id)}],
    ['Drawings', 'drawings.zip', 1024, 2, 1500, 'eur', 3600, 'drawings', $customer->{id}]);
is_deeply($t->ctl(qw(file-session show), $session->{id}, @in), $session, 'show');
like(($t->ctl_run(qw(file-session show), uc $session->{id}, @in))[1], qr/^title +Drawings$/mi, 'for people');
is(json_of($t->post($path, token => $token, json => { customer_id => $customer->{id} }))->{customer_id},
    $t->ctl(qw(file-session create), @in, '--customer-id', $customer->{id})->{customer_id}, 'by the customer\'s id');

my $changed = $t->ctl(qw(file-session set), $session->{id}, @in, '--title=', qw(--status active));
is_deeply([@$changed{qw(title status)}], [undef, 'active'], 'set');
is_deeply([map { $_->{id} } @{ $t->ctl(qw(file-session list), @in, qw(--status active --query DRAW))->{data} }], [$session->{id}], 'list');
is($t->ctl(qw(file-session list), @in, qw(--sort -download_count --limit 1 --page 2))->{meta}{total}, 3, 'all of them');
is($t->ctl(qw(file-session list), @in, '--customer-id', '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001')->{meta}{total}, 0, 'of one owner');
like(($t->ctl_run(qw(file-session list), @in))[1], qr/^ID +TITLE +FILE +STATUS/m, 'a table');

my $download = $t->ctl(qw(file-session download), $session->{id}, @in, qw(--customer cus_1));
is_deeply([@$download{qw(session_id slot_number customer_id)}], [$session->{id}, 1, $customer->{id}], 'download');
is($t->ctl(qw(file-session download), $session->{id}, @in, qw(--slot 9))->{slot_number}, 9);
refused(qr/^portalctl: Download limit reached\.$/, qw(file-session download), $session->{id}, @in);

my $payment = $t->ctl(qw(file-session pay), $session->{id}, @in, qw(--amount 1500 --status completed --buyer-email Bea@Example.com
    --buyer-name Bea --checkout-session cs_1 --payment-intent pi_1 --platform-fee 15));
is_deeply([@$payment{qw(amount_cents status currency buyer_email buyer_name stripe_checkout_session_id stripe_payment_intent_id
    platform_fee_cents customer_id)}], [1500, 'completed', 'eur', 'Bea@example.com', 'Bea', 'cs_1', 'pi_1', 15, undef], 'pay');
is($t->ctl(qw(file-session payment), $session->{id}, $payment->{id}, @in, qw(--status refunded))->{status}, 'refunded', 'payment');

refused(qr/customer_id: Field required/, qw(file-session create), @in);
refused(qr/external_customer_id: Customer does not exist\./, qw(file-session create), @in, qw(--customer nobody));
refused(qr/short_slug: A session with this slug already exists\./, qw(file-session create), @in, qw(--customer cus_1 --short-slug drawings));
my (undef, undef, undef, $err) = $t->ctl_run(qw(file-session create), @in, qw(--status x --ttl -1 --currency x));
is(scalar(() = $err =~ /^portalctl: /mg), 4, 'every problem at once') or diag $err;
refused(qr/max_downloads: The download count cannot be above the maximum of downloads\./, qw(file-session set), $session->{id}, @in,
    qw(--max-downloads 1));
refused(qr/^portalctl: Not found$/, qw(file-session), $_, $session->{id}, '-w', $other->{slug}) for qw(show set download);
refused(qr/^portalctl: Not found$/, qw(file-session pay), $session->{id}, '-w', $other->{slug}, qw(--amount 1));
refused(qr/^portalctl: Not found$/, qw(file-session payment), $session->{id}, $payment->{id}, '-w', $other->{slug}, qw(--status failed));
is(($t->ctl_run(qw(file-session show x), @in))[0], 2, 'no id');
is(($t->ctl_run(qw(file-session list --status x), @in))[0], 2, 'no status');

$t->done;
