import { useEffect, useState } from 'preact/hooks';

import { dateTime, relative } from '../format';

// Relative, and exact to whoever points at it.
export function Time({ at }: { at: string }) {
    const [now, set] = useState(Date.now());
    useEffect(() => {
        const timer = setInterval(() => set(Date.now()), 30_000);
        return () => clearInterval(timer);
    }, []);
    return <time dateTime={at} title={dateTime(at)}>{relative(at, now)}</time>;
}
