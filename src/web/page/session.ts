// Who is signed in here, how it began and why it ended. Another tab's signing in or out is this one's too.
import { bearer, Failure, onEnded, request } from './api';
import type { User } from './api_types';
import { announce } from './announce';
import { forgetDrafts, hasDrafts, keepDraftsOf } from './drafts';
import { startLive, tellTabs, type Live } from './live/live';
import { shell } from './shell';
import { Store } from './store';
import { t, type Words } from './words';

const api = '/api/customer-portal/customer-session';

export type Session =
    | { state: 'starting' }
    | { state: 'failed'; failure: Failure }
    | { state: 'out'; why?: Words; email?: string; drafts?: boolean }
    | { state: 'in'; user: User; back: string | null };

export const session = new Store<Session>({ state: 'starting' });

let live: Live | undefined;
let expires = 0;  // of the session there is, ms

// Why it is about to end: the stream and every request may hear of a sign-out before its answer is here.
let leaving: 'ended.signed_out' | 'ended.other_tab' | undefined;

function person(user: User): string {
    return `${user.customer_id}/${user.member_id ?? ''}`;
}

export function nameOf(user: User): string {
    return user.name ?? user.email;
}

// As a cookie says; undefined: nobody, or one at the client portal.
export async function whoIs(): Promise<User | undefined> {
    try {
        return await request<User>(`${api}/user`, { anonymous: true });
    } catch (error) {
        if (error instanceof Failure && error.status === 401) {
            return undefined;
        }
        throw error;
    }
}

function liveName(): string {
    return `portal-${shell.base}-${shell.workspace?.slug}`;
}

// `reason` is what the stream said, if it did.
function whyOver(reason = ''): Words {
    if (reason === 'revoked') {
        return 'ended.revoked';
    }
    return reason === 'expired' || Date.now() >= expires ? 'ended.expired' : 'ended.over';
}

async function enter(user: User) {
    leaving = undefined;
    shell.session = true;
    shell.return_to = '';  // what is typed here is not to be left for it
    keepDraftsOf(person(user));
    const { return_url, expires_at } = await request<{ return_url: string | null; expires_at: string }>(`${api}/introspect`);
    expires = Date.parse(expires_at);
    session.set({ state: 'in', user, back: return_url });
    if (!live) {
        live = startLive('/api/customer-portal/customers/stream', liveName(), {
            over: (reason) => end(whyOver(reason)),
            leaving: (now) => { leaving = now ? 'ended.other_tab' : undefined; },
            person: (now) => void otherTab(now),
        });
    }
    return live;
}

// Another tab is somebody else now, or nobody.
async function otherTab(now: string) {
    const { value } = session;
    if (value.state !== 'in' || person(value.user) === now) {
        return;
    }
    if (now === '') {
        leaving ??= 'ended.other_tab';
        end(leaving);
    } else {
        live?.close();
        live = undefined;
        await start();
    }
}

export function end(why: Words) {
    const { value } = session;
    if (value.state !== 'in') {
        return;
    }
    if (leaving === 'ended.signed_out') {
        live?.told('');
    }
    live?.close();
    live = undefined;
    bearer.set('');
    if (leaving) {
        forgetDrafts();
        session.set({ state: 'out', why: leaving });
    } else {
        session.set({ state: 'out', why, email: value.user.email, drafts: hasDrafts() });
    }
}
onEnded(() => end(whyOver()));

// Looks whether there is a session; without one it is time to sign in, `why` says why.
export async function start(why?: Words): Promise<void> {
    try {
        const user = shell.session ? await whoIs() : undefined;
        if (user) {
            await enter(user);
        } else {
            session.set({ state: 'out', ...(why ? { why } : {}) });
        }
    } catch (error) {
        session.set({ state: 'failed', failure: error as Failure });
    }
}

// Back to where the site sent the person away from, who is signed in now. The sign-in is no step of the history.
export function leave() {
    location.replace(shell.return_to);
}

// After a code or a link has made a session: its cookie is there, or is to be had for `token`. `keep`: 409 where
// somebody else is signed in.
export async function signedIn(token?: string, keep = false): Promise<void> {
    if (token) {
        const headers: Record<string, string> = keep ? { 'X-Portal-Keep': '1' } : {};
        await request(`${api}/exchange`, { method: 'POST', body: { token }, anonymous: true, headers });
    }
    let user = await whoIs();
    if (!user && token) {
        bearer.set(token);  // the browser keeps no cookies of ours
        user = await whoIs();
    }
    if (!user) {
        throw new Failure(401, {}, 0, '');
    }
    if (shell.return_to && !bearer.value) {
        tellTabs(liveName(), person(user));
        leave();
        return;
    }
    const now = await enter(user);
    now.told(person(user));
    announce(t('sign_in.done'));
}

export async function signOut(): Promise<void> {
    leaving = 'ended.signed_out';
    live?.leaving(true);
    await request(`${api}/logout`, { method: 'POST', anonymous: true }).catch((error: Failure) => {
        if (error.status !== 401) {  // one that has just ended is as good
            leaving = undefined;
            live?.leaving(false);
            throw error;
        }
    });
    end('ended.signed_out');
}

// What came of a link's token. 'replaces': somebody else is signed in here, who is to be asked first.
export type Link = 'opened' | 'ended' | 'replaces';

export async function openLink(token: string, replace: boolean): Promise<Link> {
    try {
        await signedIn(token, !replace);
        return 'opened';
    } catch (error) {
        switch ((error as Failure).status) {
            case 401: return 'ended';
            case 409:
                shell.session = true;
                return 'replaces';
            default: throw error;
        }
    }
}
