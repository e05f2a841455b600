// A link from a mail or a backend: its token becomes a session of this browser's, after a question where that would
// sign somebody else out.
import { useEffect, useState } from 'preact/hooks';

import type { Failure } from '../api';
import { Button } from '../parts/button';
import { Gate } from '../parts/gate';
import { Notice } from '../parts/notice';
import { Failed, Loading } from '../parts/states';
import { openLink, start, type Link } from '../session';
import { t } from '../words';

export function OpenLink({ token }: { token: string }) {
    const [link, setLink] = useState<Link>();
    const [failure, setFailure] = useState<Failure>();

    async function open(replace: boolean) {
        setFailure(undefined);
        try {
            const opened = await openLink(token, replace);
            setLink(opened);
            if (opened.state === 'ended') {
                await start('link.expired');
            }
        } catch (error) {
            setFailure(error as Failure);
        }
    }
    useEffect(() => void open(false), []);

    if (failure) {
        return <Gate title={t('link.title')} step="failed"><Failed failure={failure} again={() => void open(false)} /></Gate>;
    }
    if (link?.state === 'replaces') {
        return (
            <Gate title={t('link.replace_title')} step="question">
                <Notice kind="info">{t('link.replace_lead', { current: link.current })}</Notice>
                <div class="actions stacked">
                    <Button look="primary" onClick={() => void open(true)}>{t('link.replace')}</Button>
                    <Button onClick={() => void start()}>{t('link.keep', { current: link.current })}</Button>
                </div>
            </Gate>
        );
    }
    return <Gate title={t('link.title')}><p class="lead">{t('link.opening')}</p><Loading rows={2} /></Gate>;
}
