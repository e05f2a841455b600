// The client portal from its link to its end: the token becomes a session of this browser's, and then it is shown.
import { useEffect, useRef, useState } from 'preact/hooks';

import { bearer, onEnded, type Failure } from '../api';
import { goTo, whoIsHere, whoIsMe, type Here } from '../link/here';
import { ReplaceQuestion } from '../link/replace_question';
import { startLive, type Live } from '../live/live';
import { Gate } from '../parts/gate';
import { Notice } from '../parts/notice';
import { Failed, Loading } from '../parts/states';
import { shell, stay } from '../shell';
import { CodeStep } from '../sign_in/code_step';
import { t } from '../words';
import { getMe, leave, openToken, type Me, type Opened, type SentCode } from './client_api';
import { ClientPortal } from './client_portal';

type State =
    | { step: 'opening' }
    | { step: 'question'; here: Here | undefined; sent: SentCode | undefined }
    | { step: 'code'; sent: SentCode }
    | { step: 'in'; me: Me }
    | { step: 'ended'; how: 'link' | 'no link' | 'signed out' }
    | { step: 'failed'; failure: Failure };

export function ClientApp({ token }: { token: string }) {
    const [state, set] = useState<State>({ step: 'opening' });
    const telling = useRef<Live>();
    const replaces = useRef(false);  // another person's session, too, as was answered
    const leaving = useRef(false);  // somebody signs out: whoever has is not told that the link has ended

    async function open() {
        set({ step: 'opening' });
        try {
            if (!token) {
                await keep();
                return;
            }
            const opened = await openToken(token, replaces.current);
            const { sent } = opened;
            if (sent) {
                set({ step: 'code', sent });
                return;
            }
            await enter(opened);
        } catch (error) {
            await refused(error as Failure).catch(failed);
        }
    }
    function failed(failure: Failure) {
        set({ step: 'failed', failure });
    }
    // What the link was answered instead of being opened; what is no answer to that is thrown on.
    async function refused(failure: Failure, sent?: SentCode) {
        switch (failure.status) {
            case 401:
                set({ step: 'ended', how: 'link' });
                break;
            case 409:
                set({ step: 'question', here: await whoIsHere(), sent });
                break;
            default:
                throw failure;
        }
    }
    function replace(sent?: SentCode) {
        replaces.current = true;
        if (sent) {
            set({ step: 'code', sent });
        } else {
            void open();
        }
    }
    // Whoever is signed in stays so.
    async function keep(here?: Here) {
        if (here && !here.me) {
            goTo(here);
            return;
        }
        const me = here?.me ?? (shell.session ? await whoIsMe() : undefined);
        if (me) {
            stay(me.workspace);
        }
        set(me ? { step: 'in', me } : { step: 'ended', how: 'no link' });
    }
    async function enter(opened: Opened) {
        let me = await whoIsMe();
        if (!me) {
            bearer.set(opened.token ?? token);  // the browser keeps no cookies of ours
            me = await getMe();
        }
        stay(me.workspace);
        set({ step: 'in', me });
    }
    async function prove(sent: SentCode, code: string) {
        try {
            await enter(await openToken(token, replaces.current, sent.challenge_id, code));
        } catch (error) {
            await refused(error as Failure, sent);
        }
    }
    async function sendAgain(sent: SentCode): Promise<'again' | 'fresh'> {
        const opened = await openToken(token, replaces.current, sent.challenge_id);
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
        void open();
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
            const { here, sent } = state;
            return <ReplaceQuestion here={here} onOpen={() => replace(sent)} onKeep={() => void keep(here).catch(failed)} />;
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
                    <Failed failure={state.failure} again={() => void open()} />
                </Gate>
            );
        default:
            return <Gate title={t('link.title')}><p class="lead">{t('link.opening')}</p><Loading rows={2} /></Gate>;
    }
}
