// The client portal from its link to its end: the token becomes a session of this browser's, and then it is shown.
import { useEffect, useRef, useState } from 'preact/hooks';

import { bearer, Failure, onEnded } from '../api';
import { startLive, type Live } from '../live/live';
import { Button } from '../parts/button';
import { Gate } from '../parts/gate';
import { Notice } from '../parts/notice';
import { Failed, Loading } from '../parts/states';
import { shell, stay } from '../shell';
import { t } from '../words';
import { brand } from './branding';
import { getMe, leave, nameOf, openToken, type Me } from './client_api';
import { ClientPortal } from './client_portal';

type State =
    | { step: 'opening' }
    | { step: 'question'; current: Me }
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
            const owner = await getMe(token);
            if (before && !samePerson(before, owner) && !replace) {
                set({ step: 'question', current: before });
                return;
            }
            stay(owner.workspace);
            await openToken(token);
            let me = await current();
            if (!me) {
                bearer.set(token);  // the browser keeps no cookies of ours
                me = await getMe();
            }
            set({ step: 'in', me });
        } catch (error) {
            const failure = error as Failure;
            if (failure.status === 401) {
                set({ step: 'ended', how: 'link' });
            } else {
                set({ step: 'failed', failure });
            }
        }
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
    useEffect(() => {
        if (inside) {
            brand(inside.config);
        }
    }, [inside]);

    switch (state.step) {
        case 'in':
            return <ClientPortal me={state.me} onMe={(me) => set({ step: 'in', me })} onSignOut={signOut} />;
        case 'question':
            return (
                <Gate title={t('link.replace_title')} step="question">
                    <Notice kind="info">{t('link.replace_lead', { current: nameOf(state.current) })}</Notice>
                    <div class="actions stacked">
                        <Button look="primary" onClick={() => void open(true)}>{t('link.replace')}</Button>
                        <Button onClick={() => set({ step: 'in', me: state.current })}>
                            {t('link.keep', { current: nameOf(state.current) })}
                        </Button>
                    </div>
                </Gate>
            );
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
