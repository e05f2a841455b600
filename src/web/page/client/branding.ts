// A tenant's colours on the page. CSSOM, not a style attribute: the policy of the page allows no inline style.
import { blend, contrast, inkOn, readable } from '../colour';

export interface Branding {
    primary_color: string;
    secondary_color: string;
}

const dark = matchMedia('(prefers-color-scheme: dark)');
// --ground and --surface of base.css, which text in the brand's colour stands on
const grounds = { light: ['#f6f6f4', '#ffffff'], dark: ['#131416', '#1b1d20'] };

// One ink for all of a gradient from one colour to the other, if there is one that can be read on it.
function gradient(from: string, to: string): { from: string; to: string; ink: string } {
    const steps = Array.from({ length: 9 }, (_, at) => blend(from, to, at / 8));
    const ink = ['#ffffff', '#000000'].find((tried) => steps.every((step) => contrast(tried, step) >= 4.5));
    return ink ? { from, to, ink } : { from, to: from, ink: inkOn(from) };
}

function apply({ primary_color: primary, secondary_color: secondary }: Branding) {
    const [ground, surface] = grounds[dark.matches ? 'dark' : 'light'] as [string, string];
    const wash = blend(surface, primary, 0.12);
    const sunk = blend(surface, dark.matches ? '#ffffff' : '#000000', 0.08);
    const band = gradient(primary, secondary);
    const values: Record<string, string> = {
        '--brand': primary,
        '--on-brand': inkOn(primary),
        '--brand-hover': blend(primary, inkOn(primary) === '#ffffff' ? '#000000' : '#ffffff', 0.14),
        '--brand-wash': wash,
        '--brand-ink': readable(primary, ground, surface, wash, sunk),
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
