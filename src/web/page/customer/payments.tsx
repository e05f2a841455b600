import { useEffect } from 'preact/hooks';

import { announce } from '../announce';
import { query, request } from '../api';
import type { Page, Payment } from '../api_types';
import { Heading } from '../parts/heading';
import { Pager } from '../parts/pager';
import { Empty, Failed, Loading } from '../parts/states';
import { href, useRoute } from '../route';
import { useData } from '../use_data';
import { useFresh } from '../use_fresh';
import { t } from '../words';
import { PaymentRow } from './payment_row';

export function Payments() {
    const page = Math.max(1, Number(useRoute().query.get('page')) || 1);
    const payments = useData(`payments/${page}`,
        (signal) => request<Page<Payment>>(`/api/customer-portal/payments${query({ page })}`, { signal }),
        (event) => event.type === 'payment.updated' || event.type === 'file_sharing_session.payment_received');
    const fresh = useFresh(payments.value?.data, payments.live);
    useEffect(() => {
        if (fresh.size > 0) {
            announce(t('payments.changed'));
        }
    }, [fresh]);
    return (
        <>
            <Heading title={t('payments.title')}><p class="lead">{t('payments.lead')}</p></Heading>
            {payments.failure
                ? <Failed failure={payments.failure} again={payments.reload} />
                : !payments.value
                    ? <Loading />
                    : payments.value.meta.total === 0
                        ? <Empty icon="payment" title={t('payments.empty_title')}><p>{t('payments.empty')}</p></Empty>
                        : <ul class="rows" aria-busy={payments.busy}>
                            {payments.value.data.map((payment) => (
                                <PaymentRow key={payment.id} payment={payment} fresh={fresh.has(payment.id)} linked />
                            ))}
                        </ul>}
            {payments.value && (
                <Pager page={page} pages={payments.value.meta.pages} to={(to) => href('payments', { page: String(to) })} />
            )}
        </>
    );
}
