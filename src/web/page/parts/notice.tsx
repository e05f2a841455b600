import type { ComponentChildren } from 'preact';

import { Icon, type IconName } from './icon';

export type Kind = 'info' | 'good' | 'bad';

const icons: Record<Kind, IconName> = { info: 'info', good: 'check', bad: 'warning' };

// `bad` is told at once, the others when a screen reader is done with what it says.
export function Notice({ kind, children }: { kind: Kind; children: ComponentChildren }) {
    return (
        <div class={`notice ${kind}`} role={kind === 'bad' ? 'alert' : 'status'}>
            <Icon name={icons[kind]} />
            <div class="notice-text">{children}</div>
        </div>
    );
}
