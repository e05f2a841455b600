// What stands where a list would: it is loading, empty, or could not be read.
import type { ComponentChildren } from 'preact';

import type { Failure } from '../api';
import { t } from '../words';
import { Button } from './button';
import { Icon, type IconName } from './icon';

export function Loading({ rows = 3 }: { rows?: number }) {
    return (
        <div class="loading" role="status">
            <span class="unseen">{t('app.loading')}</span>
            {Array.from({ length: rows }, (_, at) => <div class="bone" key={at} aria-hidden="true" />)}
        </div>
    );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children: ComponentChildren }) {
    return (
        <div class="empty">
            <span class="empty-icon"><Icon name={icon} /></span>
            <h2>{title}</h2>
            {children}
        </div>
    );
}

export function Failed({ failure, again }: { failure: Failure; again(): void }) {
    return (
        <div class="empty" role="alert">
            <span class="empty-icon bad"><Icon name={failure.status === 0 ? 'offline' : 'warning'} /></span>
            <p>{failure.words}</p>
            <Button onClick={again}>{t('app.retry')}</Button>
        </div>
    );
}
