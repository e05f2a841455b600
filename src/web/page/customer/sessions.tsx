// Where one is signed in, and ending what one does not know.
import { useState } from 'preact/hooks';

import { announce } from '../announce';
import { request, type Failure } from '../api';
import type { Page, SignIn } from '../api_types';
import { Button } from '../parts/button';
import { Dialog } from '../parts/dialog';
import { Heading } from '../parts/heading';
import { Icon } from '../parts/icon';
import { Notice } from '../parts/notice';
import { Failed, Loading } from '../parts/states';
import { Time } from '../parts/time';
import { useData } from '../use_data';
import { counted, known, t } from '../words';

const path = '/api/customer-portal/customer-session/sessions';

// The server says "Firefox on Android".
function deviceOf({ device }: SignIn): string {
    const [, browser, system] = /^(.+) on (.+)$/.exec(device ?? '') ?? [];
    return browser && system ? t('sessions.device', { browser, system })
        : device && device !== 'Unknown device' ? device : t('sessions.unknown_device');
}

export function Sessions() {
    const sessions = useData('sessions', (signal) => request<Page<SignIn>>(`${path}?limit=100`, { signal }));
    const [failure, setFailure] = useState<Failure>();
    const [busy, setBusy] = useState('');
    const [asking, setAsking] = useState(false);

    async function act(name: string, action: () => Promise<string>) {
        setBusy(name);
        setFailure(undefined);
        try {
            announce(await action());
            sessions.reload();
        } catch (error) {
            setFailure(error as Failure);
        }
        setBusy('');
        setAsking(false);
    }
    const end = (id: string) => act(id, async () => {
        await request(`${path}/${id}`, { method: 'DELETE' });
        return t('sessions.ended');
    });
    const endOthers = () => act('others', async () => {
        const { revoked } = await request<{ revoked: number }>(`${path}?others=true`, { method: 'DELETE' });
        return counted('sessions.ended_count', revoked);
    });

    const rows = sessions.value?.data.toSorted((one, other) => Number(other.current) - Number(one.current));
    return (
        <>
            <Heading title={t('sessions.title')}><p class="lead">{t('sessions.lead')}</p></Heading>
            {failure && <Notice kind="bad">{failure.words}</Notice>}
            {sessions.failure
                ? <Failed failure={sessions.failure} again={sessions.reload} />
                : !rows
                    ? <Loading />
                    : <ul class="rows">
                        {rows.map((session) => {
                            const device = deviceOf(session);
                            return (
                                <li key={session.id} class="row session-row">
                                    <span class="row-icon"><Icon name="device" /></span>
                                    <div class="row-main">
                                        <span class="row-title">{device}</span>
                                        <p class="row-sub">{known(`sessions.by.${session.signed_in_by}`) ?? session.signed_in_by}</p>
                                    </div>
                                    <div class="row-state">
                                        {session.current && <span class="status good">{t('sessions.this')}</span>}
                                    </div>
                                    <dl class="row-facts">
                                        <div>
                                            <dt>{t('sessions.seen')}</dt>
                                            <dd>{session.current ? t('sessions.now') : session.last_seen_at ? <Time at={session.last_seen_at} /> : t('sessions.never_seen')}</dd>
                                        </div>
                                        <div><dt>{t('sessions.ends')}</dt><dd><Time at={session.expires_at} /></dd></div>
                                    </dl>
                                    {!session.current && (
                                        <Button busy={busy === session.id} aria-label={t('sessions.end_of', { device })}
                                            onClick={() => void end(session.id)}>{t('sessions.end')}</Button>
                                    )}
                                </li>
                            );
                        })}
                    </ul>}
            {rows && (rows.length > 1
                ? <div class="actions"><Button look="danger" onClick={() => setAsking(true)}>{t('sessions.end_others')}</Button></div>
                : <p class="nothing">{t('sessions.only')}</p>)}
            {asking && (
                <Dialog title={t('sessions.end_others_title')} action={t('sessions.end_others')} danger
                    busy={busy === 'others'} onAction={() => void endOthers()} onClose={() => setAsking(false)}>
                    <p>{t('sessions.end_others_lead')}</p>
                </Dialog>
            )}
        </>
    );
}
