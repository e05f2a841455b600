// A link would sign somebody else out: whether it is to.
import { Button } from '../parts/button';
import { Gate } from '../parts/gate';
import { Notice } from '../parts/notice';
import { t } from '../words';
import type { Here } from './here';

interface Props {
    here: Here | undefined;  // undefined: the page cannot tell who
    onOpen(): void;
    onKeep(): void;
}

export function ReplaceQuestion({ here, onOpen, onKeep }: Props) {
    return (
        <Gate title={t('link.replace_title')} step="question">
            <Notice kind="info">{here ? t('link.replace_lead', { current: here.name }) : t('link.replace_other')}</Notice>
            <div class="actions stacked">
                <Button look="primary" onClick={onOpen}>{t('link.replace')}</Button>
                <Button onClick={onKeep}>{here ? t('link.keep', { current: here.name }) : t('link.keep_other')}</Button>
            </div>
        </Gate>
    );
}
