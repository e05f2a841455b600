import { useEffect, useRef } from 'preact/hooks';

import { t } from '../words';
import { Icon } from './icon';

// Links to the pages of a list; nothing where there is only one.
export function Pager({ page, pages, to }: { page: number; pages: number; to(page: number): string }) {
    const before = useRef(page);
    useEffect(() => {
        if (page !== before.current) {
            before.current = page;
            scrollTo(0, 0);
        }
    }, [page]);
    if (pages < 2 && page < 2) {
        return null;
    }
    return (
        <nav class="pager" aria-label={t('pages.label')}>
            {page > 1
                ? <a class="button plain" href={to(Math.min(page - 1, Math.max(pages, 1)))}><Icon name="back" />{t('pages.previous')}</a>
                : <span />}
            <span class="pager-place">{t('pages.of', { page, pages: Math.max(pages, 1) })}</span>
            {page < pages ? <a class="button plain" href={to(page + 1)}>{t('pages.next')}<Icon name="next" /></a> : <span />}
        </nav>
    );
}
