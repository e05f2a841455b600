// Signing in: the address, the code, and, where it fits several, which of them.
import { useState } from 'preact/hooks';

import { url, type Failure } from '../api';
import { Gate } from '../parts/gate';
import { Notice } from '../parts/notice';
import { leave, signedIn } from '../session';
import { shell } from '../shell';
import { t, type Words } from '../words';
import { ChoiceStep } from './choice_step';
import { CodeStep } from './code_step';
import { EmailStep } from './email_step';
import { useHistoryState } from './history_state';
import { proveCode, requestCode, type Challenge, type Choice, type Proof } from './login';

// A code that was sent: in the history, so that back leads to the address again and a reload stays here.
interface Sent {
    challenge: Challenge;
    email: string;
    until: number;  // ms
}

interface Props {
    why?: Words | undefined;
    email?: string | undefined;
    drafts?: boolean | undefined;
}

export function SignIn({ why, email: known, drafts = false }: Props) {
    const [kept, setKept] = useHistoryState<Sent>();
    const sent = kept && kept.until > Date.now() ? kept : undefined;
    const [email, setEmail] = useState(sent?.email ?? known ?? shell.email);
    const [choice, setChoice] = useState<Choice>();
    const [reason, setReason] = useState(why);
    const [failure, setFailure] = useState<Failure>();

    function codeSent(challenge: Challenge, step: 'push' | 'replace') {
        setKept({ challenge, email: email.trim(), until: Date.now() + challenge.expires_in * 1000 }, step);
    }

    async function sendAgain({ email, challenge }: Sent): Promise<'again' | 'fresh'> {
        const next = await requestCode(email, challenge.challenge_id);
        codeSent(next, 'replace');
        return next.challenge_id === challenge.challenge_id ? 'again' : 'fresh';
    }

    async function proved(proof: Proof) {
        if ('choice' in proof) {
            setChoice(proof.choice);
            return;
        }
        const { token, workspace } = proof.signedIn;
        if (!shell.workspace && workspace) {
            if (shell.return_to && !token) {
                leave();
            } else {
                location.assign(url(`/${workspace.slug}/portal`));
            }
            return;
        }
        if (!shell.return_to) {
            setKept(undefined, 'replace');
        }
        try {
            await signedIn(token);
        } catch (error) {
            setKept(undefined, 'replace');
            setFailure(error as Failure);
        }
    }

    function restart(because?: Words) {
        setKept(undefined, 'replace');
        setChoice(undefined);
        setReason(because);
    }

    function title(): string {
        if (choice) {
            return t(choice.kind === 'workspace' ? 'sign_in.choose_workspace' : 'sign_in.choose_customer');
        }
        if (sent) {
            return t('sign_in.code_title');
        }
        return shell.workspace ? t('sign_in.title_at', { name: shell.workspace.name }) : t('sign_in.title');
    }

    return (
        <Gate title={title()} step={choice ? 'choice' : sent ? 'code' : 'email'}>
            {failure && <Notice kind="bad">{failure.words}</Notice>}
            {reason && !sent && (
                <Notice kind={reason === 'ended.signed_out' ? 'good' : 'info'}>
                    <p>{t(reason)}</p>
                    {drafts && <p>{t('ended.drafts')}</p>}
                </Notice>
            )}
            {choice
                ? <ChoiceStep key={choice.token} choice={choice} onProof={proved} onExpired={() => restart('sign_in.choice_expired')} />
                : sent
                    ? <CodeStep lead={t('sign_in.code_lead', { email: sent.email })}
                        help={t('sign_in.not_arrived_help', { email: sent.email, name: shell.workspace?.name ?? t('sign_in.some_workspace') })}
                        verify={(code) => proveCode(code, sent.challenge.challenge_id).then(proved)}
                        resend={() => sendAgain(sent)} onOtherEmail={() => restart()} />
                    : <>
                        <p class="lead">{t('sign_in.lead')}</p>
                        <EmailStep email={email} onEmail={setEmail} onSent={(challenge) => codeSent(challenge, 'push')} />
                    </>}
        </Gate>
    );
}
