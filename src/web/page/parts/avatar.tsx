import { initials } from '../format';

const grounds = 6;

// The same name always has the same ground.
function ground(name: string): number {
    let sum = 0;
    for (const letter of name) {
        sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
    }
    return sum % grounds;
}

// A picture of this site's, else initials: nothing is asked of another host.
export function Avatar({ name, picture, brand = false }: { name: string; picture?: string | null; brand?: boolean }) {
    if (picture && new URL(picture, location.href).origin === location.origin) {
        return <img class="avatar" src={picture} alt="" width="40" height="40" />;
    }
    return <span class={`avatar ${brand ? 'house' : `ground-${ground(name)}`}`} aria-hidden="true">{initials(name)}</span>;
}
