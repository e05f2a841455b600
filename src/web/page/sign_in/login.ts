// Signing in by an e-mailed code, as the API does it.
import { Failure, request } from '../api';
import { keepsCookies } from '../cookies';
import { shell } from '../shell';

const api = '/api/customer-portal/customer-session';

export interface Challenge {
    challenge_id: string;
    expires_in: number;
}

export interface Choice {
    kind: 'workspace' | 'customer';
    token: string;
    options: { id: string; name: string | null }[];
}

interface SignedIn {
    token?: string;
    workspace?: { slug: string };
}

export type Proof = { signedIn: SignedIn } | { choice: Choice };

// `challenge`: the same code once more.
export function requestCode(email: string, challenge?: string): Promise<Challenge> {
    return request(`${api}/request`, {
        method: 'POST',
        anonymous: true,
        body: {
            email,
            ...(shell.workspace ? { workspace_id: shell.workspace.id } : {}),
            ...(challenge ? { challenge_id: challenge } : {}),
        },
    });
}

async function prove(body: Record<string, string>): Promise<Proof> {
    try {
        const headers: Record<string, string> = keepsCookies ? { 'X-Portal-Cookie': '1' } : {};
        const signedIn = await request<SignedIn>(`${api}/authenticate`, { method: 'POST', anonymous: true, headers, body });
        return { signedIn };
    } catch (error) {
        if (error instanceof Failure && error.status === 409) {
            const { workspaces, customers, selection_token } = error.body as {
                workspaces?: Choice['options']; customers?: Choice['options']; selection_token: string;
            };
            return {
                choice: {
                    kind: workspaces ? 'workspace' : 'customer',
                    token: selection_token,
                    options: workspaces ?? customers ?? [],
                },
            };
        }
        throw error;
    }
}

export function proveCode(code: string, challenge: string): Promise<Proof> {
    return prove({ code, challenge_id: challenge, ...(shell.workspace ? { workspace_id: shell.workspace.id } : {}) });
}

export function choose(choice: Choice, id: string): Promise<Proof> {
    return prove({ selection_token: choice.token, [`${choice.kind}_id`]: id });
}
