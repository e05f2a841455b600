// The page's texts, from the message files that the server's templates use too.
import { useEffect, useState } from 'preact/hooks';

import de from '../messages/de.json';
import en from '../messages/en.json';

export type Words = keyof typeof en;
export type Language = 'en' | 'de';

export const languages: Record<Language, string> = { en: 'English', de: 'Deutsch' };

// every text of one language is there in the others: tsc sees to it
const files: Record<Language, Record<Words, string>> = { en, de };
const listeners = new Set<() => void>();
let chosen: Language = 'en';

export function language(): Language {
    return chosen;
}

export function setLanguage(wanted: Language) {
    chosen = wanted;
    document.documentElement.lang = wanted;
    listeners.forEach((listener) => listener());
}

// Draws the component again when the language changes.
export function useLanguage(): Language {
    const [, draw] = useState(0);
    useEffect(() => {
        const listener = () => draw((count) => count + 1);
        listeners.add(listener);
        return () => void listeners.delete(listener);
    }, []);
    return chosen;
}

type Values = Record<string, string | number>;

function fill(text: string, values: Values): string {
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function t(key: Words, values: Values = {}): string {
    return fill(files[chosen][key], values);
}

// A text that there may be none for: of a status that a site has made up, say.
export function known(key: string): string | undefined {
    return (files[chosen] as Record<string, string | undefined>)[key];
}

// KEY.one, KEY.other and what else the language has.
export function counted(key: string, count: number): string {
    const form = new Intl.PluralRules(chosen).select(count);
    const text = known(`${key}.${form}`) ?? known(`${key}.other`) ?? '';
    return fill(text, { count: new Intl.NumberFormat(chosen).format(count) });
}
