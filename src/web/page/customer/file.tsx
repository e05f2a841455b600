// One file: what it is, who has downloaded it when, and what was paid for it.
import { useEffect } from 'preact/hooks';

import { announce } from '../announce';
import { request } from '../api';
import type { Download, Payment, SharedFile } from '../api_types';
import { dateTime } from '../format';
import { Breakable } from '../parts/breakable';
import { Heading } from '../parts/heading';
import { Icon } from '../parts/icon';
import { Failed, Loading } from '../parts/states';
import { Status } from '../parts/status';
import { Time } from '../parts/time';
import { href } from '../route';
import { useData } from '../use_data';
import { useFresh } from '../use_fresh';
import { t } from '../words';
import { Expiry } from './expiry';
import { addressOf, priceOf, sizeOf, titleOf } from './file_words';
import { PaymentRow } from './payment_row';
import { Usage } from './usage';

interface Shown {
    file: SharedFile;
    downloads: Download[];
    payments: Payment[];
}

export function File({ id, showsPayments }: { id: string; showsPayments: boolean }) {
    const path = `/api/customer-portal/file-sharing/sessions/${encodeURIComponent(id)}`;
    const shown = useData<Shown>(`file/${id}`, async (signal) => {
        const [file, downloads, payments] = await Promise.all([
            request<SharedFile>(path, { signal }),
            request<Download[]>(`${path}/downloads`, { signal }),
            showsPayments ? request<Payment[]>(`${path}/payments`, { signal }) : [],
        ]);
        return { file, downloads, payments };
    }, (event) => {
        const data = event.data as { id?: string; session_id?: string };
        return data.id === id || data.session_id === id;
    });
    const { value, failure } = shown;
    const fresh = useFresh(value && [value.file, ...value.downloads, ...value.payments] as { id: string }[], shown.live);

    useEffect(() => {
        if (fresh.size > 0) {
            announce(t('files.changed'));
        }
    }, [fresh]);

    const back = <a class="button quiet way-back" href={href('files')}><Icon name="back" />{t('file.back')}</a>;
    if (failure) {
        return failure.status === 404 || failure.status === 422
            ? <>{back}<Heading title={t('file.gone_title')}><p class="lead">{t('file.gone')}</p></Heading></>
            : <>{back}<Heading title={t('files.title')} /><Failed failure={failure} again={shown.reload} /></>;
    }
    if (!value) {
        return <>{back}<Loading rows={4} /></>;
    }
    const { file, downloads, payments } = value;
    const address = addressOf(file);
    return (
        <>
            {back}
            <Heading title={titleOf(file)}>
                <div class="heading-line">
                    <Status words="file_status" status={file.status} />
                    {address && (
                        <a class="button primary" href={address} target="_blank" rel="noopener noreferrer">
                            <Icon name="link" />{t('files.open')}
                        </a>
                    )}
                </div>
            </Heading>
            <section class="card" aria-labelledby="details">
                <h2 id="details">{t('file.details')}</h2>
                <dl class="facts">
                    {file.file_name && <div><dt>{t('files.name')}</dt><dd class="breakable"><Breakable text={file.file_name} /></dd></div>}
                    <div><dt>{t('files.size')}</dt><dd>{sizeOf(file)}</dd></div>
                    <div><dt>{t('files.price')}</dt><dd>{priceOf(file)}</dd></div>
                    <div><dt>{t('files.downloads')}</dt><dd><Usage file={file} /></dd></div>
                    <div><dt>{t('files.expires')}</dt><dd><Expiry file={file} /></dd></div>
                    <div><dt>{t('files.created')}</dt><dd><Time at={file.created_at} /></dd></div>
                    {file.activated_at && <div><dt>{t('file.activated')}</dt><dd><Time at={file.activated_at} /></dd></div>}
                    {file.completed_at && <div><dt>{t('file.completed')}</dt><dd><Time at={file.completed_at} /></dd></div>}
                </dl>
            </section>
            <section class="card" aria-labelledby="history">
                <h2 id="history">{t('file.history')}</h2>
                {downloads.length === 0
                    ? <p class="nothing">{t('file.history_empty')}</p>
                    : <ol class="lines">
                        {downloads.map((download) => (
                            <li key={download.id} class={fresh.has(download.id) ? 'fresh' : ''}>
                                <span>{t('file.slot', { number: download.slot_number })}</span>
                                <span class="line-end"><time dateTime={download.created_at}>{dateTime(download.created_at)}</time></span>
                            </li>
                        ))}
                    </ol>}
            </section>
            {showsPayments && (
                <section class="card" aria-labelledby="paid">
                    <h2 id="paid">{t('file.payments')}</h2>
                    {payments.length === 0
                        ? <p class="nothing">{t('file.payments_empty')}</p>
                        : <ul class="rows flat">
                            {payments.map((payment) => (
                                <PaymentRow key={payment.id} payment={payment} fresh={fresh.has(payment.id)} />
                            ))}
                        </ul>}
                </section>
            )}
        </>
    );
}
