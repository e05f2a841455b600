import { useId } from 'preact/hooks';

import { Icon } from './icon';

export function SearchField({ label, value, onValue }: { label: string; value: string; onValue(value: string): void }) {
    const id = useId();
    return (
        <div class="field search">
            <label class="label" for={id}>{label}</label>
            <span class="search-box">
                <Icon name="search" />
                <input id={id} class="input" type="search" name="q" value={value} autocomplete="off"
                    onInput={(event) => onValue(event.currentTarget.value)} />
            </span>
        </div>
    );
}
