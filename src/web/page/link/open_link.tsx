// A link from a mail or a backend: its token becomes a session of this browser's, after a question where that would
// sign somebody else out.
import { useEffect, useState } from 'preact/hooks';

import type { Failure } from '../api';
import { Gate } from '../parts/gate';
import { Failed, Loading } from '../parts/states';
import { openLink, start } from '../session';
import { t } from '../words';
import { goTo, whoIsHere, type Here } from './here';
import { ReplaceQuestion } from './replace_question';

export function OpenLink({ token }: { token: string }) {
    const [question, setQuestion] = useState<{ here: Here | undefined }>();
    const [failure, setFailure] = useState<Failure>();

    async function open(replace: boolean) {
        setFailure(undefined);
        try {
            const link = await openLink(token, replace);
            if (link === 'ended') {
                await start('link.expired');
            } else if (link === 'replaces') {
                setQuestion({ here: await whoIsHere() });
            }
        } catch (error) {
            setFailure(error as Failure);
        }
    }
    useEffect(() => void open(false), []);

    if (failure) {
        return <Gate title={t('link.title')} step="failed"><Failed failure={failure} again={() => void open(false)} /></Gate>;
    }
    if (question) {
        const { here } = question;
        return <ReplaceQuestion here={here} onOpen={() => void open(true)} onKeep={() => (here?.me ? goTo(here) : void start())} />;
    }
    return <Gate title={t('link.title')}><p class="lead">{t('link.opening')}</p><Loading rows={2} /></Gate>;
}
