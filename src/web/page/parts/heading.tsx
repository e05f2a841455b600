// A screen's title. Whoever comes here by a link or a step finds the focus on it; who has just opened the page does not.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { shell } from '../shell';

let first = true;

export function Heading({ title, children }: { title: string; children?: ComponentChildren }) {
    const heading = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        document.title = shell.workspace ? `${title} · ${shell.name}` : title;
    }, [title]);
    useEffect(() => {
        if (!first) {
            heading.current?.focus({ preventScroll: true });
            scrollTo(0, 0);
        }
        first = false;
    }, []);
    return (
        <header class="heading">
            <h1 ref={heading} tabIndex={-1}>{title}</h1>
            {children}
        </header>
    );
}
