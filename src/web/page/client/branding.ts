// A tenant's colours on the page. CSSOM, not a style attribute: the policy of the page allows no inline style.
import { blend, contrast, enough, ground, readable } from '../colour';

export interface Branding {
    primary_color: string;
    secondary_color: string;
}

const dark = matchMedia('(prefers-color-scheme: dark)');
// --ground and --surface of base.css, which text in the brand's colour stands on
const pages = { light: ['#f6f6f4', '#ffffff'], dark: ['#131416', '#1b1d20'] };

// One ink for all of a gradient from one colour to the other; where there is none, the first colour alone.
function gradient(first: string, second: string): { from: string; to: string; ink: string } {
    const { ground: from, ink } = ground(first);
    const to = ground(second).ground;
    const steps = Array.from({ length: 9 }, (_, at) => blend(from, to, at / 8));
    return { from, to: steps.every((step) => contrast(ink, step) >= enough) ? to : from, ink };
}

function apply({ primary_color: primary, secondary_color: secondary }: Branding) {
    const [page, surface] = pages[dark.matches ? 'dark' : 'light'] as [string, string];
    const { ground: button, ink } = ground(primary);
    const wash = blend(surface, primary, 0.12);
    const sunk = blend(surface, dark.matches ? '#ffffff' : '#000000', 0.08);
    const band = gradient(primary, secondary);
    const values: Record<string, string> = {
        '--brand': button,
        '--on-brand': ink,
        '--brand-hover': blend(button, ink === '#ffffff' ? '#000000' : '#ffffff', 0.14),
        '--brand-wash': wash,
        '--brand-ink': readable(primary, page, surface, wash, sunk),
        '--band-from': band.from,
        '--band-to': band.to,
        '--on-band': band.ink,
    };
    for (const [name, value] of Object.entries(values)) {
        document.documentElement.style.setProperty(name, value);
    }
}

let shown: Branding | undefined;
dark.addEventListener('change', () => { if (shown) { apply(shown); } });

export function brand(branding: Branding) {
    shown = branding;
    apply(branding);
}
