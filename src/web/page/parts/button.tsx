import type { ComponentChildren, JSX } from 'preact';

type Look = 'primary' | 'plain' | 'quiet' | 'danger';

interface Props extends Omit<JSX.HTMLAttributes<HTMLButtonElement>, 'type' | 'look'> {
    look?: Look;
    type?: 'button' | 'submit';
    disabled?: boolean;
    busy?: boolean;  // it has been pressed, and keeps its place and focus until there is an answer
    children: ComponentChildren;
}

export function Button({ look = 'plain', type = 'button', busy = false, class: more, onClick, ...rest }: Props) {
    return (
        <button {...rest} type={type} class={`button ${look} ${more ?? ''}`} aria-disabled={busy || undefined}
            onClick={(event) => {
                if (busy) {
                    event.preventDefault();
                } else {
                    onClick?.(event);
                }
            }} />
    );
}
