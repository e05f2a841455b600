// A step of a screen that has no address of its own.
import { useEffect, useState } from 'preact/hooks';

export function useHistoryState<Value>(): [Value | undefined, (value: Value | undefined, how: 'push' | 'replace') => void] {
    const read = () => (history.state ?? undefined) as Value | undefined;
    const [value, set] = useState(read);
    useEffect(() => {
        const listener = () => set(read);
        addEventListener('popstate', listener);
        return () => removeEventListener('popstate', listener);
    }, []);
    return [value, (next, how) => {
        if (how === 'push') {
            history.pushState(next, '');
        } else {
            history.replaceState(next ?? null, '');
        }
        set(next);
    }];
}
