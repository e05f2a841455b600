// A question that is answered before anything else goes on. The browser's own dialog keeps the focus and gives it back.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

import { t } from '../words';
import { Button } from './button';

interface Props {
    title: string;
    children: ComponentChildren;
    action: string;
    danger?: boolean;
    busy?: boolean;
    cancel?: string;
    onAction(): void;
    onClose(): void;
}

export function Dialog({ title, children, action, danger = false, busy = false, cancel, onAction, onClose }: Props) {
    const dialog = useRef<HTMLDialogElement>(null);
    const id = useId();
    useEffect(() => {
        const element = dialog.current;
        element?.showModal();
        return () => element?.close();
    }, []);
    return (
        <dialog ref={dialog} class="dialog" aria-labelledby={id}
            onCancel={(event) => { event.preventDefault(); onClose(); }}>
            <h2 id={id}>{title}</h2>
            <div class="dialog-text">{children}</div>
            <div class="actions">
                <Button onClick={onClose}>{cancel ?? t('app.cancel')}</Button>
                <Button look={danger ? 'danger' : 'primary'} busy={busy} onClick={onAction}>{action}</Button>
            </div>
        </dialog>
    );
}
