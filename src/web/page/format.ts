// Numbers, money and times as people of the chosen language write them.
import { language } from './words';

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

export function size(bytes: number): string {
    const step = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
    return new Intl.NumberFormat(language(), {
        style: 'unit',
        unit: units[step] ?? 'byte',
        unitDisplay: step === 0 ? 'long' : 'short',  // 'short' knows no plural of a byte
        maximumFractionDigits: step > 1 ? 1 : 0,
    }).format(bytes / 1000 ** step);
}

// `amount` in the currency's smallest unit: cents of a dollar, whole yen.
export function money(amount: number, currency: string): string {
    try {
        const format = new Intl.NumberFormat(language(), { style: 'currency', currency });
        const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
        return format.format(amount / 10 ** digits);
    } catch {
        return `${amount / 100} ${currency.toUpperCase()}`;
    }
}

export function dateTime(time: string): string {
    return new Intl.DateTimeFormat(language(), { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(time));
}

export function date(time: string): string {
    return new Intl.DateTimeFormat(language(), { dateStyle: 'medium' }).format(new Date(time));
}

const spans: [Intl.RelativeTimeFormatUnit, number][] = [
    ['year', 365 * 86400], ['month', 30 * 86400], ['week', 7 * 86400], ['day', 86400], ['hour', 3600], ['minute', 60],
];

// "in 3 days", "5 minutes ago"
export function relative(time: string, now: number): string {
    const seconds = (Date.parse(time) - now) / 1000;
    const format = new Intl.RelativeTimeFormat(language(), { numeric: 'auto' });
    for (const [unit, length] of spans) {
        if (Math.abs(seconds) >= length) {
            return format.format(Math.trunc(seconds / length), unit);
        }
    }
    return format.format(0, 'second');
}

// "45 seconds", "2 minutes"
export function duration(seconds: number): string {
    const unit = seconds < 90 ? 'second' : 'minute';
    return new Intl.NumberFormat(language(), { style: 'unit', unit, unitDisplay: 'long' })
        .format(unit === 'second' ? seconds : Math.ceil(seconds / 60));
}

// Of a name: "Mike Smith" is MS
export function initials(name: string): string {
    const parts = name.split(/[\s@._-]+/u).filter(Boolean);
    const letters = parts.length > 1 ? [parts[0], parts[parts.length - 1]] : [parts[0]];
    return letters.map((part) => [...(part ?? '?')][0]).join('').toLocaleUpperCase(language());
}
