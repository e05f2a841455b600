// A screen's title. Whoever comes here by a link or a step finds the focus on it; who has not done anything on
// the page yet does not.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { shell } from '../shell';
import { Breakable } from './breakable';

let acted = false;
for (const kind of ['pointerdown', 'keydown']) {
    addEventListener(kind, () => { acted = true; }, { once: true, capture: true });
}

export function Heading({ title, children }: { title: string; children?: ComponentChildren }) {
    const heading = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        document.title = shell.workspace ? `${title} · ${shell.name}` : title;
    }, [title]);
    useEffect(() => {
        if (acted) {
            heading.current?.focus({ preventScroll: true });
            scrollTo(0, 0);
        }
    }, []);
    return (
        <header class="heading">
            <h1 ref={heading} tabIndex={-1}><Breakable text={title} /></h1>
            {children}
        </header>
    );
}
