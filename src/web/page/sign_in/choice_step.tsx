import { useState } from 'preact/hooks';

import { Failure } from '../api';
import { Avatar } from '../parts/avatar';
import { Icon } from '../parts/icon';
import { Notice } from '../parts/notice';
import { shell } from '../shell';
import { t } from '../words';
import { choose, type Choice, type Proof } from './login';

interface Props {
    choice: Choice;
    onProof(proof: Proof): void;
    onExpired(): void;
}

// Which workspace or account it is to be: known only now, after the code.
export function ChoiceStep({ choice, onProof, onExpired }: Props) {
    const [busy, setBusy] = useState(false);
    const [failure, setFailure] = useState<Failure>();

    async function take(id: string) {
        if (busy) {
            return;
        }
        setBusy(true);
        try {
            onProof(await choose(choice, id));
        } catch (error) {
            if ((error as Failure).status === 401) {
                onExpired();
            } else {
                setFailure(error as Failure);
                setBusy(false);
            }
        }
    }

    return (
        <div class="form">
            <p class="lead">
                {choice.kind === 'workspace' ? t('sign_in.choose_workspace_lead')
                    : t('sign_in.choose_customer_lead', { name: shell.workspace?.name ?? '' })}
            </p>
            {failure && <Notice kind="bad">{failure.words}</Notice>}
            <ul class="choices">
                {choice.options.map(({ id, name }) => (
                    <li key={id}>
                        <button type="button" class="choice" aria-disabled={busy || undefined} onClick={() => void take(id)}>
                            <Avatar name={name ?? '?'} />
                            <span class="choice-name">{name ?? t('sign_in.unnamed')}</span>
                            <Icon name="next" />
                        </button>
                    </li>
                ))}
            </ul>
        </div>
    );
}
