// A tenant's colours made fit to read by: WCAG 2.2 contrast, at least 4.5 to 1.

type Rgb = [number, number, number];

export const enough = 4.5;
const nearly = 3;

function parse(hex: string): Rgb {
    const value = parseInt(hex.slice(1), 16);
    return [value >> 16, (value >> 8) & 255, value & 255];
}

function hex(colour: Rgb): string {
    return '#' + colour.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('');
}

function luminance(colour: Rgb): number {
    const [red, green, blue] = colour.map((part) => {
        const share = part / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    }) as Rgb;
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrast(one: string, other: string): number {
    const [dark, light] = [luminance(parse(one)), luminance(parse(other))].sort((a, b) => a - b) as [number, number];
    return (light + 0.05) / (dark + 0.05);
}

function mixed(colour: Rgb, other: Rgb, share: number): Rgb {
    return colour.map((part, at) => part + ((other[at] ?? 0) - part) * share) as Rgb;
}

// `share` of `other` in `colour`.
export function blend(colour: string, other: string, share: number): string {
    return hex(mixed(parse(colour), parse(other), share));
}

// `colour` as a ground for text, and the ink on it. White is preferred: where it nearly can be read, the ground is
// darkened until it can; else the ink is black, which then has more than 4.5.
export function ground(colour: string): { ground: string; ink: string } {
    if (contrast(colour, '#ffffff') < nearly) {
        return { ground: colour, ink: '#000000' };
    }
    let share = 0;
    while (contrast(blend(colour, '#000000', share), '#ffffff') < enough) {
        share += 0.02;
    }
    return { ground: blend(colour, '#000000', share), ink: '#ffffff' };
}

// `colour`, or the nearest to it that can be read on all of these grounds, darker or lighter as they ask for.
export function readable(colour: string, ...grounds: string[]): string {
    const dark = grounds.every((ground) => luminance(parse(ground)) > 0.18);
    const towards: Rgb = dark ? [0, 0, 0] : [255, 255, 255];
    for (let share = 0; share < 1; share += 0.04) {
        const tried = hex(mixed(parse(colour), towards, share));
        if (grounds.every((ground) => contrast(tried, ground) >= enough)) {
            return tried;
        }
    }
    return hex(towards);
}
