// Live rows: one stream for all tabs of a browser. The tab that holds the lock reads it and tells the others; when it
// closes, the next one goes on from the last event that was told. Where streams are refused, lists are read again
// every few seconds.
import { bearer, headersOf, url } from '../api';
import { Store } from '../store';
import { readStream, type End, type LiveEvent } from './event_stream';

export type { LiveEvent };
export type LiveState = 'connecting' | 'live' | 'polling';

const poll_every = 10_000;     // ms
const try_again_after = 60_000;
const slept = 30_000;          // a tab hidden for longer reads its lists again

type Message =
    | { kind: 'event'; event: LiveEvent }
    | { kind: 'refresh' }
    | { kind: 'state'; state: LiveState; last: string }
    | { kind: 'over'; reason: string }
    | { kind: 'hello' }
    | { kind: 'leaving'; now: boolean }    // a tab signs out; false: it could not
    | { kind: 'person'; person: string };  // who is signed in now; '': nobody

export interface Live {
    close(): void;
    leaving(now: boolean): void; // before signing out: the other tabs may hear of the end before they are told
    told(person: string): void;  // the other tabs are to know who is signed in
}

export interface Follower {
    over(reason: string): void;
    leaving(now: boolean): void;
    person(person: string): void;
}

export const liveState = new Store<LiveState>('connecting');
export const online = new Store(navigator.onLine);

const eventListeners = new Set<(event: LiveEvent) => void>();
const refreshListeners = new Set<() => void>();

export function onEvent(listener: (event: LiveEvent) => void): () => void {
    eventListeners.add(listener);
    return () => void eventListeners.delete(listener);
}

// Told whenever events may have been missed.
export function onRefresh(listener: () => void): () => void {
    refreshListeners.add(listener);
    return () => void refreshListeners.delete(listener);
}

export function refresh() {
    refreshListeners.forEach((listener) => listener());
}

addEventListener('online', () => online.set(true));
addEventListener('offline', () => online.set(false));

// For a tab that follows nothing itself.
export function tellTabs(name: string, person: string) {
    const channel = new BroadcastChannel(name);
    channel.postMessage({ kind: 'person', person } satisfies Message);
    channel.close();
}

// `path` of the stream; `name` is the same in all tabs that may share it, and in no others.
export function startLive(path: string, name: string, follower: Follower): Live {
    const channel = new BroadcastChannel(bearer.value ? crypto.randomUUID() : name);
    const closing = new AbortController();
    let last = '';
    let leads = false;
    let wake: () => void = () => undefined;  // ends a pause
    let cut: () => void = () => undefined;   // ends the stream, to open it again
    let heard = Date.now();

    function take(message: Message) {
        switch (message.kind) {
            case 'event':
                last = String(message.event.id);
                eventListeners.forEach((listener) => listener(message.event));
                break;
            case 'refresh': refresh(); break;
            case 'state':
                liveState.set(message.state);
                last = message.last || last;
                break;
            case 'over': follower.over(message.reason); break;
            case 'leaving': follower.leaving(message.now); break;
            case 'person': follower.person(message.person); break;
            case 'hello':
                if (leads) {
                    post({ kind: 'state', state: liveState.value, last });
                }
                break;
        }
    }
    function post(message: Message) {
        if (!closing.signal.aborted) {  // a closed channel throws
            channel.postMessage(message);
        }
    }
    function tell(message: Message) {
        post(message);
        take(message);
    }
    channel.onmessage = ({ data }: MessageEvent<Message>) => take(data);

    function pause(milliseconds: number): Promise<void> {
        return new Promise((resolve) => {
            const timer = setTimeout(resolve, milliseconds);
            wake = () => { clearTimeout(timer); resolve(); };
            closing.signal.addEventListener('abort', () => wake(), { once: true });
        });
    }

    async function poll() {
        const until = Date.now() + try_again_after;
        while (Date.now() < until && !closing.signal.aborted) {
            tell({ kind: 'refresh' });
            await pause(poll_every);
        }
    }

    async function lead(): Promise<void> {
        leads = true;
        let failures = 0;
        let retry = 1000;
        while (!closing.signal.aborted) {
            if (!online.value) {
                await pause(poll_every);
                continue;
            }
            const resumed = last !== '';
            const control = new AbortController();
            cut = () => control.abort();
            closing.signal.addEventListener('abort', cut, { once: true });
            const headers = { ...headersOf(), ...(resumed ? { 'Last-Event-ID': last } : {}) };
            const end: End = await readStream(url(path), headers, {
                opened() {
                    failures = 0;
                    heard = Date.now();
                    tell({ kind: 'state', state: 'live', last });
                    if (!resumed) {
                        tell({ kind: 'refresh' });  // what came between the first lists and this stream
                    }
                },
                event(event) { heard = Date.now(); tell({ kind: 'event', event }); },
                reset(id) { last = id || last; tell({ kind: 'refresh' }); },
                last(id) { last = id; },
                retry(milliseconds) { retry = milliseconds; },
            }, control.signal);
            closing.signal.removeEventListener('abort', cut);
            if (closing.signal.aborted) {
                return;
            }
            if (end.kind === 'over') {
                tell({ kind: 'over', reason: end.reason });
                return;
            }
            failures += 1;
            if (online.value && (end.kind === 'refused' || failures > 2)) {
                tell({ kind: 'state', state: 'polling', last });
                await poll();
            } else {
                await pause(retry * failures + Math.random() * 500);
            }
        }
    }

    let hidden = 0;
    const visibility = () => {
        if (document.hidden) {
            hidden = Date.now();
        } else if (hidden && Date.now() - hidden > slept) {
            hidden = 0;
            refresh();
            if (leads && Date.now() - heard > slept) {
                cut();
            }
            wake();
        }
    };
    const stop = [
        online.follow(() => (online.value ? wake() : cut())),
        () => document.removeEventListener('visibilitychange', visibility),
        () => channel.close(),
        () => closing.abort(),
    ];
    document.addEventListener('visibilitychange', visibility);

    // where there are no locks to be had (a page not from a secure place, some frames), and for a token that only this
    // tab knows, each tab reads a stream of its own
    if (navigator.locks && !bearer.value) {
        navigator.locks.request(name, { signal: closing.signal }, lead).catch(() => {
            if (!closing.signal.aborted) {
                void lead();
            }
        });
    } else {
        void lead();
    }
    post({ kind: 'hello' });
    return {
        close() { stop.forEach((each) => each()); },
        leaving(now) { post({ kind: 'leaving', now }); },
        told(person) { post({ kind: 'person', person }); },
    };
}
