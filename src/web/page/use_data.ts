// What a screen shows: loaded when `key` changes, and again whenever an event concerns it. While new data come the old
// stay to be seen; a failure to read them again is told only where there is nothing to show, else they are read once more.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import { Failure } from './api';
import { onEvent, onRefresh, online, type LiveEvent } from './live/live';

export interface Loaded<Value> {
    value: Value | undefined;
    failure: Failure | undefined;
    busy: boolean;
    live: boolean;  // it was an event that made it what it is
    reload(): void;
}

const together = 120;    // ms; events that come at once cause one request
const once_more = 5;     // s, where the answer names no other

export function useData<Value>(key: string, load: (signal: AbortSignal) => Promise<Value>,
                               concerns?: (event: LiveEvent) => boolean): Loaded<Value> {
    const [state, set] = useState<{ key: string; value?: Value; failure?: Failure; live: boolean }>({ key: '', live: false });
    const [busy, setBusy] = useState(true);
    const current = useRef({ load, concerns, control: new AbortController(), shown: '' });
    current.current.load = load;
    current.current.concerns = concerns;

    const run = useCallback((live: boolean) => {
        current.current.control.abort();
        const control = new AbortController();
        current.current.control = control;
        setBusy(true);
        current.current.load(control.signal).then(
            (value) => {
                if (!control.signal.aborted) {
                    current.current.shown = key;
                    set({ key, value, live });
                    setBusy(false);
                }
            },
            (error: unknown) => {
                if (control.signal.aborted) {
                    return;
                }
                setBusy(false);
                const failure = error instanceof Failure ? error : new Failure(-1, {}, 0, '');
                if (current.current.shown !== key || failure.status === 404) {
                    current.current.shown = '';
                    set({ key, failure, live });
                    return;
                }
                if (failure.passing) {
                    const timer = setTimeout(() => run(live), (failure.wait || once_more) * 1000);
                    control.signal.addEventListener('abort', () => clearTimeout(timer));
                }
            });
    }, [key]);

    useEffect(() => {
        run(false);
        return () => current.current.control.abort();
    }, [run]);

    useEffect(() => {
        let timer: ReturnType<typeof setTimeout> | undefined;
        const again = () => {
            clearTimeout(timer);
            timer = setTimeout(() => run(true), together);
        };
        const ends = [
            onEvent((event) => { if (current.current.concerns?.(event)) { again(); } }),
            onRefresh(again),
            online.follow(() => { if (online.value) { again(); } }),
        ];
        return () => {
            clearTimeout(timer);
            ends.forEach((end) => end());
        };
    }, [run]);

    return { ...state, value: state.value, failure: state.failure, busy, reload: () => run(false) };
}
