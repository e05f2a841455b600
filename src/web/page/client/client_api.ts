// The client portal's API as its page uses it.
import { query, request } from '../api';
import { keepsCookies } from '../cookies';
import type { Item, Page, SharedFile } from '../api_types';
import type { Branding } from './branding';

const api = '/api/v1/client-portal/me';

export interface Config extends Branding {
    portal_name: string;
    portal_logo: string | null;
    welcome_message: string;
    enabled_modules: string[];
    allow_file_sharing: boolean;
    show_activity_feed: boolean;
}

export interface Me {
    addressee: { type: 'contact' | 'company'; id: number; name: string | null; email: string | null };
    workspace: { id: string; name: string; slug: string };
    config: Config;
    expires_at: string;
}

export interface Activity {
    id: number;
    type: string;
    timestamp: string;
    data: Item;
}

export async function getMe(): Promise<Me> {
    const { data } = await request<{ data: Me }>(api, { anonymous: true });
    return data;
}

export function nameOf({ addressee }: Me): string {
    return addressee.name ?? addressee.email ?? '';
}

export interface SentCode {
    challenge_id: string;
    expires_in: number;
    email: string;  // masked
}

// What came of a link: a session of this browser's (by cookie, and where that may get lost its token), or a code was mailed.
export interface Opened {
    token?: string | undefined;
    sent?: SentCode | undefined;
}

// `replace`: of another person's session, too; else 409. `challenge` without `code`: the same code once more.
export async function openToken(token: string, replace: boolean, challenge?: string, code?: string): Promise<Opened> {
    const headers: Record<string, string> = {
        ...(keepsCookies ? {} : { 'X-Portal-Cookie': '0' }),
        ...(replace ? {} : { 'X-Portal-Keep': '1' }),
    };
    const answer = await request<{ token?: string; data?: SentCode } | undefined>(`${api}/exchange`, {
        method: 'POST', anonymous: true, headers, body: { token, challenge_id: challenge ?? null, code: code ?? null },
    });
    return { token: answer?.token, sent: answer?.data };
}

export function leave(): Promise<void> {
    return request(`${api}/logout`, { method: 'POST', anonymous: true });
}

export function listItems(module: string, page: number, signal: AbortSignal): Promise<Page<Item>> {
    return request(`${api}/items${query({ module, page })}`, { signal });
}

export function listFiles(page: number, signal: AbortSignal): Promise<Page<SharedFile>> {
    return request(`${api}/files${query({ page })}`, { signal });
}

export function listActivity(page: number, signal: AbortSignal): Promise<Page<Activity>> {
    return request(`${api}/activity${query({ page })}`, { signal });
}
