import { useEffect } from 'preact/hooks';

import { announce } from '../announce';
import type { Item } from '../api_types';
import { date, money } from '../format';
import { Heading } from '../parts/heading';
import { Icon } from '../parts/icon';
import { Pager } from '../parts/pager';
import { Empty, Failed, Loading } from '../parts/states';
import { Status } from '../parts/status';
import { href, useRoute } from '../route';
import { useData } from '../use_data';
import { useFresh } from '../use_fresh';
import { t } from '../words';
import { listItems } from './client_api';
import { moduleIcon, moduleName } from './modules';

const over = ['paid', 'completed', 'done', 'closed', 'cancelled', 'accepted', 'declined', 'signed'];

export function Items({ module, tenant }: { module: string; tenant: string }) {
    const page = Math.max(1, Number(useRoute().query.get('page')) || 1);
    const items = useData(`items/${module}/${page}`, (signal) => listItems(module, page, signal),
        (event) => event.type.startsWith('portal_item.') && (event.data as Partial<Item>).module === module);
    const fresh = useFresh(items.value?.data, items.live);
    useEffect(() => {
        if (fresh.size > 0) {
            announce(t('client.changed'));
        }
    }, [fresh]);
    return (
        <>
            <Heading title={moduleName(module)} />
            {items.failure
                ? <Failed failure={items.failure} again={items.reload} />
                : !items.value
                    ? <Loading />
                    : items.value.meta.total === 0
                        ? <Empty icon="file" title={t('client.empty_title')}><p>{t('client.empty', { name: tenant })}</p></Empty>
                        : <ul class="rows" aria-busy={items.busy}>
                            {items.value.data.map((item) => <ItemRow key={item.id} item={item} fresh={fresh.has(item.id)} />)}
                        </ul>}
            {items.value && <Pager page={page} pages={items.value.meta.pages} to={(to) => href(module, { page: String(to) })} />}
        </>
    );
}

// Only what a browser may follow: the tenant's backend stores any text.
function followable(address: string | null): string | undefined {
    return address && URL.canParse(address) && /^https?:$/.test(new URL(address).protocol) ? address : undefined;
}

function ItemRow({ item, fresh }: { item: Item; fresh: boolean }) {
    const address = followable(item.url);
    const overdue = item.due_at !== null && Date.parse(item.due_at) < Date.now() && !over.includes(item.status.toLowerCase());
    return (
        <li class={`row item-row ${address ? 'linked' : ''} ${fresh ? 'fresh' : ''}`}>
            <span class="row-icon"><Icon name={moduleIcon(item.module)} /></span>
            <div class="row-main">
                {address
                    ? <a class="row-title" href={address} target="_blank" rel="noopener noreferrer">{item.title}</a>
                    : <span class="row-title">{item.title}</span>}
                <p class="row-sub">{item.external_id}</p>
            </div>
            <div class="row-state">
                <Status words="item_status" status={item.status} />
                {fresh && <span class="unseen">{t('files.new')}</span>}
            </div>
            <dl class="row-facts">
                {item.amount_cents !== null && (
                    <div><dt>{t('client.amount')}</dt><dd class="strong">{money(item.amount_cents, item.currency ?? 'usd')}</dd></div>
                )}
                {item.due_at && (
                    <div>
                        <dt>{t(overdue ? 'client.overdue' : 'client.due')}</dt>
                        <dd class={overdue ? 'late' : ''}><time dateTime={item.due_at}>{date(item.due_at)}</time></dd>
                    </div>
                )}
            </dl>
        </li>
    );
}
