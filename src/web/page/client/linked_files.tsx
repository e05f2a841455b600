// The files of the customer that this contact or company is linked to.
import { useEffect } from 'preact/hooks';

import { announce } from '../announce';
import { Expiry } from '../customer/expiry';
import { addressOf, sizeOf, titleOf } from '../customer/file_words';
import { Usage } from '../customer/usage';
import { Breakable } from '../parts/breakable';
import { Heading } from '../parts/heading';
import { Icon } from '../parts/icon';
import { Pager } from '../parts/pager';
import { Empty, Failed, Loading } from '../parts/states';
import { Status } from '../parts/status';
import { href, useRoute } from '../route';
import { useData } from '../use_data';
import { useFresh } from '../use_fresh';
import { t } from '../words';
import { listFiles } from './client_api';

export function LinkedFiles() {
    const page = Math.max(1, Number(useRoute().query.get('page')) || 1);
    const files = useData(`shared/${page}`, (signal) => listFiles(page, signal),
        (event) => event.type.startsWith('file_sharing_session.'));
    const fresh = useFresh(files.value?.data, files.live);
    useEffect(() => {
        if (fresh.size > 0) {
            announce(t('files.changed'));
        }
    }, [fresh]);
    return (
        <>
            <Heading title={t('client.shared')} />
            {files.failure
                ? <Failed failure={files.failure} again={files.reload} />
                : !files.value
                    ? <Loading />
                    : files.value.meta.total === 0
                        ? <Empty icon="file" title={t('files.empty_title')}><p>{t('files.empty')}</p></Empty>
                        : <ul class="rows" aria-busy={files.busy}>
                            {files.value.data.map((file) => {
                                const address = addressOf(file);
                                return (
                                    <li key={file.id} class={`row ${address ? 'linked' : ''} ${fresh.has(file.id) ? 'fresh' : ''}`}>
                                        <span class="row-icon"><Icon name="file" /></span>
                                        <div class="row-main">
                                            {address
                                                ? <a class="row-title" href={address} target="_blank" rel="noopener noreferrer"><Breakable text={titleOf(file)} /></a>
                                                : <span class="row-title"><Breakable text={titleOf(file)} /></span>}
                                            <p class="row-sub">{sizeOf(file)}</p>
                                        </div>
                                        <div class="row-state"><Status words="file_status" status={file.status} /></div>
                                        <dl class="row-facts">
                                            <div><dt>{t('files.downloads')}</dt><dd><Usage file={file} /></dd></div>
                                            <div><dt>{t('files.expires')}</dt><dd><Expiry file={file} /></dd></div>
                                        </dl>
                                    </li>
                                );
                            })}
                        </ul>}
            {files.value && <Pager page={page} pages={files.value.meta.pages} to={(to) => href('shared', { page: String(to) })} />}
        </>
    );
}
