// A mailed code is entered: to sign in, or to prove that a client portal's link is one's own.
import { useEffect, useRef, useState } from 'preact/hooks';

import { announce } from '../announce';
import { Failure } from '../api';
import { duration } from '../format';
import { Button } from '../parts/button';
import { Notice } from '../parts/notice';
import { t } from '../words';
import { CodeSlots, slots } from './code_slots';

const pause = 30;        // seconds between two mails
const most_resends = 3;  // of a code; the server sends no more
const most_tries = 5;

interface Props {
    lead: string;
    help: string;  // for whom no mail has come
    verify(code: string): Promise<void>;  // 401 or 422: it is wrong
    resend(): Promise<'again' | 'fresh'>;
    onOtherEmail?(): void;
}

// Seconds left until one may ask again.
function useCountdown(seconds: number): [number, () => void] {
    const [until, setUntil] = useState(() => Date.now() + seconds * 1000);
    const [now, setNow] = useState(Date.now());
    useEffect(() => {
        const timer = setInterval(() => setNow(Date.now()), 500);
        return () => clearInterval(timer);
    }, []);
    const left = Math.max(0, Math.ceil((until - now) / 1000));
    return [left, () => { setNow(Date.now()); setUntil(Date.now() + seconds * 1000); }];
}

function isWrong(failure?: Failure): boolean {
    return failure?.status === 401 || failure?.status === 422;
}

export function CodeStep({ lead, help, verify, resend, onOtherEmail }: Props) {
    const [code, setCode] = useState('');
    const [busy, setBusy] = useState(false);
    const [failure, setFailure] = useState<Failure>();
    const [tries, setTries] = useState(0);
    const [resends, setResends] = useState(0);
    const [left, countAgain] = useCountdown(pause);
    const input = useRef<HTMLInputElement>(null);
    const wrong = isWrong(failure);
    const used = tries >= most_tries;

    useEffect(() => input.current?.focus(), []);

    async function enter(typed: string) {
        if (busy || used) {
            return;
        }
        if (typed.length < slots) {
            input.current?.focus();
            return;
        }
        setBusy(true);
        setFailure(undefined);
        try {
            await verify(typed);
        } catch (error) {
            setFailure(error as Failure);
            setTries(tries + Number(isWrong(error as Failure)));
            setBusy(false);
            setCode('');
            input.current?.focus();
        }
    }

    async function sendAgain() {
        setFailure(undefined);
        try {
            const fresh = await resend() === 'fresh';
            setResends(fresh ? 0 : resends + 1);
            setTries(fresh ? 0 : tries);
            countAgain();
            announce(t('sign_in.resent'));
            input.current?.focus();
        } catch (error) {
            setFailure(error as Failure);
        }
    }

    function words(failed: Failure): string {
        if (failed.status === 429) {
            return t('sign_in.too_many_tries', { time: duration(failed.wait) });
        }
        return isWrong(failed) ? t('sign_in.wrong_code') : failed.words;
    }

    return (
        <form class="form" noValidate onSubmit={(event) => { event.preventDefault(); void enter(code); }}>
            <p class="lead" id="code-lead">{lead}</p>
            {used
                ? <Notice kind="bad">{t('sign_in.tries_used')}</Notice>
                : failure && <Notice kind="bad">{words(failure)}</Notice>}
            <CodeSlots value={code} invalid={wrong} describedBy="code-lead" input={input}
                onValue={(typed) => {
                    setCode(typed);
                    if (typed.length === slots) {
                        void enter(typed);
                    }
                }} />
            <Button look="primary" type="submit" busy={busy || used} class="wide">
                {busy ? t('sign_in.verifying') : t('sign_in.verify')}
            </Button>
            <div class="ways">
                {used
                    ? <Button look="plain" onClick={sendAgain}>{t('sign_in.new_code')}</Button>
                    : resends < most_resends && (
                        <Button look="quiet" busy={left > 0} onClick={sendAgain}>
                            {left > 0 ? t('sign_in.resend_in', { time: duration(left) }) : t('sign_in.resend')}
                        </Button>
                    )}
                {onOtherEmail && <Button look="quiet" onClick={onOtherEmail}>{t('sign_in.other_email')}</Button>}
            </div>
            <details class="help">
                <summary>{t('sign_in.not_arrived')}</summary>
                <p>{help}</p>
            </details>
        </form>
    );
}
