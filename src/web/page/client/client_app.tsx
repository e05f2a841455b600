// The client portal from its link to its end: the token becomes a session of this browser's, and then it is shown.
import { useEffect, useRef, useState } from 'preact/hooks';

import { bearer, Failure, onEnded } from '../api';
import { startLive, type Live } from '../live/live';
import { Button } from '../parts/button';
import { Gate } from '../parts/gate';
import { Notice } from '../parts/notice';
import { Failed, Loading } from '../parts/states';
import { shell, stay } from '../shell';
import { CodeStep } from '../sign_in/code_step';
import { t } from '../words';
import { getMe, leave, nameOf, openToken, type Me, type Opened, type SentCode } from './client_api';
import { ClientPortal } from './client_portal';

type State =
    | { step: 'opening' }
    | { step: 'question'; current: Me; sent?: SentCode }
    | { step: 'code'; sent: SentCode }
    | { step: 'in'; me: Me }
    | { step: 'ended'; how: 'link' | 'no link' | 'signed out' }
    | { step: 'failed'; failure: Failure };

// As the cookie says; undefined: nobody.
async function current(): Promise<Me | undefined> {
    try {
        return await getMe();
    } catch (error) {
        if (error instanceof Failure && error.status === 401) {
            return undefined;
        }
        throw error;
    }
}

// Whose link it is; undefined: that is not told before a code is entered.
async function ownerOf(token: string): Promise<Me | undefined> {
    try {
        return await getMe(token);
    } catch (error) {
        if (error instanceof Failure && error.status === 403) {
            return undefined;
        }
        throw error;
    }
}

function samePerson(one: Me, other: Me): boolean {
    return one.addressee.type === other.addressee.type && one.addressee.id === other.addressee.id;
}

export function ClientApp({ token }: { token: string }) {
    const [state, set] = useState<State>({ step: 'opening' });
    const telling = useRef<Live>();
    const leaving = useRef(false);  // somebody signs out: whoever has is not told that the link has ended

    async function open(replace: boolean) {
        set({ step: 'opening' });
        try {
            const before = shell.session ? await current() : undefined;
            if (!token) {
                set(before ? { step: 'in', me: before } : { step: 'ended', how: 'no link' });
                return;
            }
            const owner = await ownerOf(token);
            if (before && owner && !samePerson(before, owner) && !replace) {
                set({ step: 'question', current: before });
                return;
            }
            if (owner) {
                stay(owner.workspace);
            }
            const opened = await openToken(token);
            const { sent } = opened;
            if (sent) {
                set(before ? { step: 'question', current: before, sent } : { step: 'code', sent });
                return;
            }
            await enter(opened);
        } catch (error) {
            const failure = error as Failure;
            if (failure.status === 401) {
                set({ step: 'ended', how: 'link' });
            } else {
                set({ step: 'failed', failure });
            }
        }
    }
    async function enter(opened: Opened) {
        let me = await current();
        if (!me) {
            bearer.set(opened.token ?? token);  // the browser keeps no cookies of ours
            me = await getMe();
        }
        stay(me.workspace);
        set({ step: 'in', me });
    }
    async function prove(sent: SentCode, code: string) {
        try {
            await enter(await openToken(token, sent.challenge_id, code));
        } catch (error) {
            if ((error as Failure).status !== 401) {
                throw error;
            }
            set({ step: 'ended', how: 'link' });
        }
    }
    async function sendAgain(sent: SentCode): Promise<'again' | 'fresh'> {
        const opened = await openToken(token, sent.challenge_id);
        const next = opened.sent;
        if (!next) {  // proved in another tab meanwhile
            await enter(opened);
            return 'again';
        }
        set({ step: 'code', sent: next });
        return next.challenge_id === sent.challenge_id ? 'again' : 'fresh';
    }
    function over() {
        set((now) => (now.step === 'in' ? { step: 'ended', how: leaving.current ? 'signed out' : 'link' } : now));
    }
    async function signOut() {
        leaving.current = true;
        telling.current?.leaving(true);
        await leave().catch((error: Failure) => {
            if (error.status !== 401) {  // one that has just ended is as good
                leaving.current = false;
                telling.current?.leaving(false);
                throw error;
            }
        });
        telling.current?.told('');
        bearer.set('');
        shell.session = false;
        set({ step: 'ended', how: 'signed out' });
    }
    useEffect(() => {
        onEnded(over);
        void open(false);
    }, []);

    const inside = state.step === 'in' ? state.me : undefined;
    useEffect(() => {
        if (!inside) {
            return undefined;
        }
        const live: Live = startLive('/api/v1/client-portal/me/stream',
            `portal-client-${shell.base}-${inside.workspace.slug}-${inside.addressee.type}${inside.addressee.id}`,
            {
                over,
                leaving: (now) => { leaving.current = now; },
                person: () => set({ step: 'ended', how: 'signed out' }),
            });
        telling.current = live;
        return () => live.close();
    }, [inside?.workspace.slug, inside?.addressee.id]);

    switch (state.step) {
        case 'in':
            return <ClientPortal me={state.me} onSignOut={signOut} />;
        case 'code': {
            const { sent } = state;
            return (
                <Gate title={t('sign_in.code_title')} step="code">
                    <CodeStep lead={t('link.code_lead', { email: sent.email })} help={t('link.code_help', { email: sent.email, name: shell.name })}
                        verify={(code) => prove(sent, code)} resend={() => sendAgain(sent)} />
                </Gate>
            );
        }
        case 'question': {
            const { sent } = state;
            return (
                <Gate title={t('link.replace_title')} step="question">
                    <Notice kind="info">{t('link.replace_lead', { current: nameOf(state.current) })}</Notice>
                    <div class="actions stacked">
                        <Button look="primary" onClick={() => (sent ? set({ step: 'code', sent }) : void open(true))}>
                            {t('link.replace')}
                        </Button>
                        <Button onClick={() => set({ step: 'in', me: state.current })}>
                            {t('link.keep', { current: nameOf(state.current) })}
                        </Button>
                    </div>
                </Gate>
            );
        }
        case 'ended':
            return (
                <Gate title={t(state.how === 'link' ? 'link.expired_title' : 'link.missing_title')} step="ended">
                    {state.how === 'signed out' && <Notice kind="good">{t('ended.signed_out')}</Notice>}
                    <p class="lead">
                        {t(state.how === 'link' ? 'link.contact_expired' : 'link.missing',
                            { name: shell.name || t('sign_in.some_workspace') })}
                    </p>
                </Gate>
            );
        case 'failed':
            return (
                <Gate title={t('client.title')} step="failed">
                    <Failed failure={state.failure} again={() => void open(false)} />
                </Gate>
            );
        default:
            return <Gate title={t('link.title')}><p class="lead">{t('link.opening')}</p><Loading rows={2} /></Gate>;
    }
}
