// What is being typed, kept while the session ends and begins anew: in memory, for the same person only.
import { useState } from 'preact/hooks';

const drafts = new Map<string, unknown>();
let owner = '';

export function keepDraftsOf(person: string) {
    if (person !== owner) {
        drafts.clear();
    }
    owner = person;
}

export function forgetDrafts() {
    drafts.clear();
}

export function hasDrafts(): boolean {
    return drafts.size > 0;
}

export interface Draft<Value> {
    value: Value | undefined;  // nothing was typed
    restored: boolean;         // it is from before
    set(value: Value): void;
    clear(): void;
}

export function useDraft<Value>(name: string): Draft<Value> {
    const [value, setValue] = useState(() => drafts.get(name) as Value | undefined);
    const [restored, setRestored] = useState(value !== undefined);
    return {
        value,
        restored,
        set(typed) {
            drafts.set(name, typed);
            setValue(() => typed);
        },
        clear() {
            drafts.delete(name);
            setValue(undefined);
            setRestored(false);
        },
    };
}
