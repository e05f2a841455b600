// Six slots that are one input: so pasting, filling in by the browser, deleting and screen readers work as in any other.
import { useId, useState } from 'preact/hooks';

import { t } from '../words';

export const slots = 6;

// As the server compares it: without blanks and dashes, in capitals.
export function cleanCode(text: string): string {
    return text.toUpperCase().replace(/[^A-Z0-9]/g, '').slice(0, slots);
}

interface Props {
    value: string;
    invalid: boolean;
    describedBy: string;
    input: { current: HTMLInputElement | null };
    onValue(code: string): void;
}

export function CodeSlots({ value, invalid, describedBy, input, onValue }: Props) {
    const id = useId();
    const [focused, setFocused] = useState(false);
    return (
        <div class="field">
            <label class="label" for={id}>{t('sign_in.code')}</label>
            <div class={`slots ${invalid ? 'wrong' : ''}`}>
                {Array.from({ length: slots }, (_, at) => (
                    <span key={at} aria-hidden="true"
                        class={`slot ${focused && at === Math.min(value.length, slots - 1) ? 'here' : ''}`}>
                        {value[at] ?? ''}
                    </span>
                ))}
                <input id={id} ref={input} class="slots-input" name="code" type="text" value={value} required
                    autocomplete="one-time-code" autocapitalize="characters" autocorrect="off" spellcheck={false}
                    inputMode="text" aria-invalid={invalid || undefined} aria-describedby={describedBy}
                    onFocus={() => setFocused(true)} onBlur={() => setFocused(false)}
                    onInput={(event) => {
                        const code = cleanCode(event.currentTarget.value);
                        event.currentTarget.value = code;
                        onValue(code);
                    }} />
            </div>
        </div>
    );
}
