// What the server has put into the page for the script: a block of JSON, which no browser runs.
import type { Branding } from './client/branding';
import type { Language } from './words';

export interface Shell {
    page: 'portal' | 'client-portal';
    base: string;  // what stands before /api in an address: '' or '/prefix'
    language: Language;
    workspace: {
        id: string; name: string; slug: string; avatar_url: string | null; share_url: string | null;
        lists_hosts: boolean;  // a return_url leads to no other
    } | null;
    session: boolean;  // a cookie of a session came with the request
    email: string;
    return_to: string;  // where the site sent the person away from: a path of the site's; '': nowhere
    branding: (Branding & { portal_name: string; portal_logo: string | null }) | null;  // of a client portal
}

const given = JSON.parse(document.getElementById('portal-data')?.textContent ?? '{}') as Shell;

// As the server holds it (src/http/site_path.h): no browser takes it for an address of another site.
function isSitePath(text: string): boolean {
    return /^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/.test(text) && new URL(text, location.href).origin === location.origin;
}

export const shell = {
    ...given,
    return_to: isSitePath(given.return_to) ? given.return_to : '',
    email: given.email || (new URL(location.href).searchParams.get('email') ?? ''),
    name: given.branding?.portal_name ?? given.workspace?.name ?? '',
    picture: given.branding ? given.branding.portal_logo : given.workspace?.avatar_url ?? null,
};

// A link's token, taken out of the address bar at once: it belongs in no history, bookmark or screen shot.
export function takeToken(): string {
    const address = new URL(location.href);
    let token = '';
    const link = /^(.*\/client-portal)\/([^/]+)\/?$/.exec(address.pathname);
    if (link) {
        [, address.pathname = '', token = ''] = link;
    }
    for (const name of ['customer_session_token', 'member_session_token']) {
        token ||= address.searchParams.get(name) ?? '';
        address.searchParams.delete(name);
    }
    if (token) {
        address.searchParams.delete('email');
        history.replaceState(null, '', address);
    }
    return token;
}

// A client portal's address tells no more than whose it is: a reload comes back to it.
export function stay(workspace: { id: string; name: string; slug: string }) {
    shell.workspace ??= { ...workspace, avatar_url: null, share_url: null, lists_hosts: false };
    shell.name ||= workspace.name;
    const address = new URL(location.href);
    address.searchParams.set('workspace', workspace.slug);
    history.replaceState(null, '', address);
}

const year = 365 * 86400;

// The server's pages are in this language from now on, too.
export function rememberLanguage(language: Language) {
    document.cookie = `portal_language=${language}; Path=${shell.base || '/'}; Max-Age=${year}; SameSite=Lax`;
}
