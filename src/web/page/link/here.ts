// Who is signed in here. Both portals of a workspace share one cookie: it may be the other's.
import { getMe, nameOf as nameOfAddressee, type Me } from '../client/client_api';
import { Failure, url } from '../api';
import { nameOf, whoIs } from '../session';
import { shell } from '../shell';

export interface Here {
    name: string;
    me?: Me;  // at the client portal
}

// At the client portal, as the cookie says; undefined: nobody.
export async function whoIsMe(): Promise<Me | undefined> {
    try {
        return await getMe();
    } catch (error) {
        if (error instanceof Failure && error.status === 401) {
            return undefined;
        }
        throw error;
    }
}

export async function whoIsHere(): Promise<Here | undefined> {
    const user = await whoIs();
    if (user) {
        return { name: nameOf(user) };
    }
    const me = await whoIsMe();
    return me && { name: nameOfAddressee(me), me };
}

// To the portal that this session is of, from the page of the other.
export function goTo({ me }: Here) {
    location.assign(url(me ? `/client-portal?workspace=${me.workspace.slug}` : `/${shell.workspace?.slug}/portal`));
}
