// The portal's API as the page calls it: by cookie, JSON both ways, every failure in one shape.
import { duration } from './format';
import { shell } from './shell';
import { Store } from './store';
import { t } from './words';

interface Problem {
    loc: (string | number)[];
    msg: string;
    type: string;
}

export class Failure extends Error {
    constructor(
        readonly status: number,  // 0: no answer came
        readonly body: Record<string, unknown>,
        readonly wait: number,    // seconds until it may be tried again; 0: nothing was said
        readonly id: string,      // X-Request-ID
    ) {
        super(`API answered ${status}`);
    }

    // The same request may well be answered a little later.
    get passing(): boolean {
        return this.status === 0 || this.status === 429 || this.status >= 500;
    }

    // What a person is told.
    get words(): string {
        switch (this.status) {
            case 0: return t('error.offline');
            case 403: return t('error.forbidden');
            case 404: return t('error.missing');
            case 422: return t('error.invalid');
            case 429: return t('error.busy', { time: duration(this.wait || 10) });
            case 502: case 503: case 504: return t('error.unavailable');
            default: return t('error.unexpected', { id: this.id || String(this.status) });
        }
    }

    // What is wrong with a field of the body that was sent: its type and the server's words.
    problem(field: string): Problem | undefined {
        const problems = Array.isArray(this.body['detail']) ? (this.body['detail'] as Problem[]) : [];
        return problems.find((problem) => problem.loc[problem.loc.length - 1] === field);
    }
}

// Told of every 401 to a request that was made as somebody.
let ended: () => void = () => undefined;
export function onEnded(listener: () => void) {
    ended = listener;
}

// Only where the browser keeps no cookie for us: in a frame of another site. Gone with the page.
export const bearer = new Store('');

export interface Call {
    method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
    body?: unknown;
    headers?: Record<string, string>;
    signal?: AbortSignal;
    anonymous?: boolean;  // a 401 says nothing of the session
}

export function headersOf(call: Call = {}): Record<string, string> {
    const headers: Record<string, string> = { ...call.headers };
    const slug = shell.workspace?.slug;
    if (slug) {
        headers['X-Portal-Workspace'] = slug;
    }
    if (bearer.value && !headers['Authorization']) {
        headers['Authorization'] = `Bearer ${bearer.value}`;
    }
    if (call.method && call.method !== 'GET') {
        headers['Content-Type'] = 'application/json';
    }
    return headers;
}

export function url(path: string): string {
    return shell.base + path;
}

function parse(text: string): Record<string, unknown> {
    try {
        return JSON.parse(text) as Record<string, unknown>;
    } catch {
        return {};
    }
}

// `path` begins with /api. Throws Failure for whatever is not 2xx.
export async function request<Answer>(path: string, call: Call = {}): Promise<Answer> {
    let response: Response;
    let text: string;
    try {
        response = await fetch(url(path), {
            method: call.method ?? 'GET',
            headers: headersOf(call),
            body: call.body === undefined ? null : JSON.stringify(call.body),
            signal: call.signal ?? null,
            credentials: 'same-origin',
            cache: 'no-store',
        });
        text = await response.text();
    } catch (error) {
        if (call.signal?.aborted) {
            throw error;
        }
        throw new Failure(0, {}, 0, '');
    }
    if (response.ok) {
        return (text ? JSON.parse(text) : undefined) as Answer;
    }
    if (response.status === 401 && !call.anonymous) {
        ended();
    }
    throw new Failure(response.status, parse(text), Number(response.headers.get('Retry-After')) || 0,
        response.headers.get('X-Request-ID') ?? '');
}

export function query(values: Record<string, string | number | undefined>): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) {
        if (value !== undefined && value !== '') {
            parameters.set(name, String(value));
        }
    }
    const text = parameters.toString();
    return text ? `?${text}` : '';
}
