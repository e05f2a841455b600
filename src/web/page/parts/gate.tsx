// The page before one is signed in: a card in the middle, with whose it is above it.
import type { ComponentChildren } from 'preact';

import { shell } from '../shell';
import { Announcer } from './announcer';
import { Avatar } from './avatar';
import { Heading } from './heading';
import { LanguageSwitch } from './language_switch';

export function Gate({ title, step = '', children }: { title: string; step?: string; children: ComponentChildren }) {
    return (
        <div class="gate">
            <header class="gate-brand">
                {shell.name && <><Avatar name={shell.name} picture={shell.picture} brand /><span class="brand-name">{shell.name}</span></>}
            </header>
            <main class="card gate-card" id="content">
                <Heading key={step} title={title} />
                {children}
            </main>
            <footer class="foot"><LanguageSwitch /></footer>
            <Announcer />
        </div>
    );
}
