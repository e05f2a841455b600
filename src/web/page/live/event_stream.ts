// Server-sent events over fetch(): EventSource can send no header, and hides why a stream was refused.

export interface LiveEvent {
    id: number;
    type: string;
    timestamp: string;
    data: unknown;
}

export type End =
    | { kind: 'over'; reason: string }                  // the session is; it is not to be opened again
    | { kind: 'refused'; status: number; wait: number } // seconds; 0: nothing was said
    | { kind: 'lost' };

export interface Reader {
    opened(): void;
    event(event: LiveEvent): void;
    reset(last: string): void;   // what was missed is no longer all there
    last(id: string): void;
    retry(milliseconds: number): void;
}

const silence = 40_000;  // ms; a comment comes every 15 s

interface Frame {
    id: string;
    event: string;
    data: string;
    retry: string;
}

// Every whole frame of what has come, and the rest.
function frames(text: string): { whole: Frame[]; rest: string } {
    const parts = text.split(/\r?\n\r?\n/);
    const rest = parts.pop() ?? '';
    const whole = parts.map((part) => {
        const frame: Frame = { id: '', event: 'message', data: '', retry: '' };
        for (const line of part.split(/\r?\n/)) {
            const [, name = '', value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
            if (name === 'data') {
                frame.data += (frame.data && '\n') + value;
            } else if (name === 'id' || name === 'event' || name === 'retry') {
                frame[name] = value;
            }
        }
        return frame;
    });
    return { whole, rest };
}

// What a frame means; the end, when it is the last.
function take(frame: Frame, reader: Reader): End | undefined {
    if (frame.retry) {
        reader.retry(Number(frame.retry) || 0);
    }
    if (frame.id) {
        reader.last(frame.id);
    }
    if (frame.event === 'bye') {
        const { reason } = JSON.parse(frame.data || '{}') as { reason?: string };
        return { kind: 'over', reason: reason ?? 'expired' };
    }
    if (frame.event === 'reset') {
        reader.reset(frame.id);
    } else if (frame.data) {
        reader.event(JSON.parse(frame.data) as LiveEvent);
    }
    return undefined;
}

// Reads until the stream ends, whoever ends it. Never throws.
export async function readStream(address: string, headers: Record<string, string>, reader: Reader,
                                 signal: AbortSignal): Promise<End> {
    const control = new AbortController();
    const abort = () => control.abort();
    signal.addEventListener('abort', abort);
    let timer = setTimeout(abort, silence);
    try {
        const response = await fetch(address, {
            headers: { ...headers, Accept: 'text/event-stream' },
            credentials: 'same-origin',
            cache: 'no-store',
            signal: control.signal,
        });
        if (response.status === 401 || response.status === 204) {
            return { kind: 'over', reason: '' };
        }
        if (!response.ok || !response.body) {
            return { kind: 'refused', status: response.status, wait: Number(response.headers.get('Retry-After')) || 0 };
        }
        reader.opened();
        const bytes = response.body.getReader();
        const decoder = new TextDecoder();
        let text = '';
        for (;;) {
            const { done, value } = await bytes.read();
            if (done) {
                return { kind: 'lost' };
            }
            clearTimeout(timer);
            timer = setTimeout(abort, silence);
            const { whole, rest } = frames(text + decoder.decode(value, { stream: true }));
            text = rest;
            for (const frame of whole) {
                const end = take(frame, reader);
                if (end) {
                    return end;
                }
            }
        }
    } catch {
        return { kind: 'lost' };
    } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        control.abort();
    }
}
