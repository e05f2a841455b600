// The page once one is in: whose it is, where one can go, and what is shown.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { liveState, online } from '../live/live';
import { shell } from '../shell';
import { useStore } from '../store';
import { t } from '../words';
import { Announcer } from './announcer';
import { Avatar } from './avatar';
import { Icon, type IconName } from './icon';
import { LanguageSwitch } from './language_switch';
import { Notice } from './notice';

export interface Tab {
    path: string;
    label: string;
    icon: IconName;
}

interface Props {
    tabs: Tab[];
    current: string;
    name?: string;            // whose page it is; by default the workspace's
    picture?: string | null;
    account: ComponentChildren;
    children: ComponentChildren;
}

export function Frame({ tabs, current, name = shell.name, picture = shell.picture, account, children }: Props) {
    const isOnline = useStore(online);
    const state = useStore(liveState);
    const tab = useRef<HTMLAnchorElement>(null);
    useEffect(() => tab.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' }), [current]);  // of many on a phone
    return (
        <div class="frame">
            <a class="skip" href="#content" onClick={(event) => {
                event.preventDefault();
                document.getElementById('content')?.focus();
            }}>{t('app.skip')}</a>
            <header class="top">
                <div class="brand">
                    <Avatar name={name} picture={picture} brand />
                    <span class="brand-name">{name}</span>
                </div>
                <div class="account">{account}</div>
            </header>
            <nav class="tabs" aria-label={t('nav.label')}>
                <ul>
                    {tabs.map(({ path, label, icon }) => (
                        <li key={path}>
                            <a ref={path === current ? tab : null} class="tab" href={`#/${path}`} aria-current={path === current ? 'page' : undefined}>
                                <Icon name={icon} /><span class="tab-label">{label}</span>
                            </a>
                        </li>
                    ))}
                </ul>
            </nav>
            <main class="main" id="content" tabIndex={-1}>
                {!isOnline && <Notice kind="bad">{t('app.offline')}</Notice>}
                {isOnline && state === 'polling' && <Notice kind="info">{t('app.polling')}</Notice>}
                {children}
            </main>
            <footer class="foot"><LanguageSwitch /></footer>
            <Announcer />
        </div>
    );
}
