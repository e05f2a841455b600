import { Heading } from '../parts/heading';
import { Icon } from '../parts/icon';
import { Pager } from '../parts/pager';
import { Empty, Failed, Loading } from '../parts/states';
import { Time } from '../parts/time';
import { href, useRoute } from '../route';
import { useData } from '../use_data';
import { useFresh } from '../use_fresh';
import { known, t } from '../words';
import { listActivity, type Activity } from './client_api';
import { moduleIcon } from './modules';

// "New: Invoice 7"; a kind that there are no words for is named as it is.
function words({ type, data }: Activity): string {
    return `${known(`activity.${type}`) ?? type}: ${data.title}`;
}

export function Activities() {
    const page = Math.max(1, Number(useRoute().query.get('page')) || 1);
    const activity = useData(`activity/${page}`, (signal) => listActivity(page, signal), () => true);
    const fresh = useFresh(activity.value?.data, activity.live);
    return (
        <>
            <Heading title={t('client.activity')} />
            {activity.failure
                ? <Failed failure={activity.failure} again={activity.reload} />
                : !activity.value
                    ? <Loading />
                    : activity.value.meta.total === 0
                        ? <Empty icon="activity" title={t('client.activity_empty_title')}><p>{t('client.activity_empty')}</p></Empty>
                        : <ol class="rows feed" aria-busy={activity.busy}>
                            {activity.value.data.map((each) => (
                                <li key={each.id} class={`row feed-row ${fresh.has(each.id) ? 'fresh' : ''}`}>
                                    <span class="row-icon"><Icon name={moduleIcon(each.data.module)} /></span>
                                    <p class="row-main">{words(each)}</p>
                                    <p class="row-sub"><Time at={each.timestamp} /></p>
                                </li>
                            ))}
                        </ol>}
            {activity.value && (
                <Pager page={page} pages={activity.value.meta.pages} to={(to) => href('activity', { page: String(to) })} />
            )}
        </>
    );
}
