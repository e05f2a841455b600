// A label, what is filled in, a hint, and beside it what is wrong with it.
import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';

import { t } from '../words';
import { Icon } from './icon';

interface About {
    label: string;
    hint?: string;
    error?: string | undefined;
    optional?: boolean;
}

type InputProps = About & Omit<JSX.HTMLAttributes<HTMLInputElement>, 'label'> & {
    name: string;
    value: string;
    type?: string;
    required?: boolean;
    autocomplete?: string;
    maxLength?: number;
    onValue(value: string): void;
};

function Around({ id, label, hint, error, optional, children }: About & { id: string; children: ComponentChildren }) {
    return (
        <div class="field">
            <label class="label" for={id}>
                {label}
                {optional && <span class="optional">{t('billing.optional')}</span>}
            </label>
            {children}
            {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
            {error && <p class="problem" id={`${id}-error`}><Icon name="warning" />{error}</p>}
        </div>
    );
}

function described(id: string, hint?: string, error?: string) {
    return [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
}

export function Input({ label, hint, error, optional = false, onValue, ...rest }: InputProps) {
    const id = useId();
    return (
        <Around {...{ id, label, error, optional }} {...(hint ? { hint } : {})}>
            <input {...rest} id={id} class="input" aria-invalid={error ? true : undefined}
                aria-describedby={described(id, hint, error)} onInput={(event) => onValue(event.currentTarget.value)} />
        </Around>
    );
}

type SelectProps = About & {
    name: string;
    value: string;
    autocomplete?: string;
    onValue(value: string): void;
    children: ComponentChildren;
};

export function Select({ label, hint, error, optional = false, onValue, children, ...rest }: SelectProps) {
    const id = useId();
    return (
        <Around {...{ id, label, error, optional }} {...(hint ? { hint } : {})}>
            <select {...rest} id={id} class="input select" aria-invalid={error ? true : undefined}
                aria-describedby={described(id, hint, error)} onChange={(event) => onValue(event.currentTarget.value)}>
                {children}
            </select>
        </Around>
    );
}
