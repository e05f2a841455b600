import type { Payment } from '../api_types';
import { dateTime, money } from '../format';
import { Icon } from '../parts/icon';
import { Status } from '../parts/status';
import { href } from '../route';
import { t } from '../words';

// `linked`: with the way to its file.
export function PaymentRow({ payment, fresh, linked = false }: { payment: Payment; fresh: boolean; linked?: boolean }) {
    const buyer = payment.buyer_name ?? payment.buyer_email ?? t('payments.buyer_hidden');
    return (
        <li class={`row payment-row ${fresh ? 'fresh' : ''}`}>
            <span class="row-icon"><Icon name="payment" /></span>
            <div class="row-main">
                <span class="row-title amount">{money(payment.amount_cents, payment.currency)}</span>
                <p class="row-sub"><time dateTime={payment.created_at}>{dateTime(payment.created_at)}</time></p>
            </div>
            <div class="row-state">
                <Status words="payment_status" status={payment.status} />
                {fresh && <span class="unseen">{t('files.new')}</span>}
            </div>
            <dl class="row-facts">
                <div><dt>{t('payments.buyer')}</dt><dd>{buyer}</dd></div>
                {payment.platform_fee_cents > 0 && (
                    <div><dt>{t('payments.fee')}</dt><dd>{money(payment.platform_fee_cents, payment.currency)}</dd></div>
                )}
            </dl>
            {linked && <a class="button quiet" href={href(`files/${payment.session_id}`)}>{t('payments.show_file')}</a>}
        </li>
    );
}
