import { useState } from 'preact/hooks';

import { Failure } from '../api';
import { duration } from '../format';
import { Button } from '../parts/button';
import { Input } from '../parts/field';
import { Notice } from '../parts/notice';
import { useInvalidFocus } from '../parts/use_invalid_focus';
import { t } from '../words';
import { requestCode, type Challenge } from './login';

interface Props {
    email: string;
    onEmail(email: string): void;
    onSent(challenge: Challenge): void;
}

export function EmailStep({ email, onEmail, onSent }: Props) {
    const [busy, setBusy] = useState(false);
    const [failure, setFailure] = useState<Failure>();
    const form = useInvalidFocus(failure);
    const invalid = failure?.status === 422;

    async function send(event: Event) {
        event.preventDefault();
        if (busy) {
            return;
        }
        setBusy(true);
        setFailure(undefined);
        try {
            onSent(await requestCode(email.trim()));
        } catch (error) {
            setFailure(error as Failure);
            setBusy(false);
        }
    }

    return (
        <form ref={form} class="form" onSubmit={send} noValidate>
            {failure && !invalid && (
                <Notice kind="bad">
                    {failure.status === 429 ? t('sign_in.too_many_codes', { time: duration(failure.wait) }) : failure.words}
                </Notice>
            )}
            <Input label={t('sign_in.email')} name="email" type="email" value={email} onValue={onEmail} required
                autocomplete="email" inputMode="email" autocapitalize="none" spellcheck={false}
                error={invalid ? t('sign_in.email_invalid') : undefined} />
            <Button look="primary" type="submit" busy={busy} class="wide">
                {busy ? t('sign_in.sending') : t('sign_in.send')}
            </Button>
        </form>
    );
}
