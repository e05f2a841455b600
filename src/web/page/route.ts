// Where one is, in the address's fragment: #/files/ID?page=2. So back, forward and reload work, and no server hears of it.
import { Store, useStore } from './store';

export interface Route {
    path: string[];
    query: URLSearchParams;
}

function read(): Route {
    const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
    return { path: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
}

// A fragment can be typed: what is no escape is taken as it stands.
function decoded(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

const store = new Store(read());
addEventListener('hashchange', () => store.set(read()));
addEventListener('popstate', () => store.set(read()));

export function useRoute(): Route {
    return useStore(store);
}

export function href(path: string, query: Record<string, string> = {}): string {
    const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '')).toString();
    return `#/${path}${parameters ? `?${parameters}` : ''}`;
}

// Without a step of its own in the history: a search being typed, say.
export function replaceRoute(to: string) {
    history.replaceState(history.state, '', to);
    store.set(read());
}
