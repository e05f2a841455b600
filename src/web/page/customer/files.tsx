// The list of files: searched, filtered, sorted and paged by the server, all of it in the address.
import { useEffect, useRef, useState } from 'preact/hooks';

import { announce } from '../announce';
import { query, request } from '../api';
import { fileStatuses, type Page, type SharedFile } from '../api_types';
import { Breakable } from '../parts/breakable';
import { Button } from '../parts/button';
import { Select } from '../parts/field';
import { Heading } from '../parts/heading';
import { Icon } from '../parts/icon';
import { Pager } from '../parts/pager';
import { SearchField } from '../parts/search_field';
import { Empty, Failed, Loading } from '../parts/states';
import { Status } from '../parts/status';
import { href, replaceRoute, useRoute } from '../route';
import { useData } from '../use_data';
import { useFresh } from '../use_fresh';
import { counted, t, type Words } from '../words';
import { Expiry } from './expiry';
import { sizeOf, titleOf } from './file_words';
import { Usage } from './usage';

const orders = ['-created_at', 'created_at', '-download_count', 'download_count', 'status', '-status'] as const;
const typing = 250;  // ms of rest before a search begins

export function Files() {
    const { query: wanted } = useRoute();
    const search = wanted.get('q') ?? '';
    const status = wanted.get('status') ?? '';
    const sort = orders.find((order) => order === wanted.get('sort')) ?? '-created_at';
    const page = Math.max(1, Number(wanted.get('page')) || 1);
    const [typed, setTyped] = useState(search);
    const timer = useRef<ReturnType<typeof setTimeout>>();

    const key = query({ query: search, status, sorting: sort, page });
    const files = useData(`files${key}`,
        (signal) => request<Page<SharedFile>>(`/api/customer-portal/file-sharing/sessions${key}`, { signal }),
        (event) => event.type.startsWith('file_sharing_session.'));
    const fresh = useFresh(files.value?.data, files.live);

    useEffect(() => setTyped(search), [search]);
    useEffect(() => () => clearTimeout(timer.current), []);
    useEffect(() => {
        if (fresh.size > 0) {
            announce(t('files.changed'));
        }
    }, [fresh]);

    function change(values: Record<string, string>) {
        replaceRoute(href('files', { q: search, status, sort: sort === '-created_at' ? '' : sort, ...values }));
    }
    const total = files.value?.meta.total ?? 0;
    const filtered = search !== '' || status !== '';

    return (
        <>
            <Heading title={t('files.title')}>
                <p class="lead">{t('files.lead')}</p>
            </Heading>
            <form class="filters" role="search" onSubmit={(event) => { event.preventDefault(); change({ q: typed }); }}>
                <SearchField label={t('files.search')} value={typed} onValue={(text) => {
                    setTyped(text);
                    clearTimeout(timer.current);
                    timer.current = setTimeout(() => change({ q: text.trim() }), typing);
                }} />
                <Select label={t('files.status')} name="status" value={status} onValue={(value) => change({ status: value })}>
                    <option value="">{t('files.status_all')}</option>
                    {fileStatuses.map((each) => <option key={each} value={each}>{t(`file_status.${each}`)}</option>)}
                </Select>
                <Select label={t('files.sort')} name="sort" value={sort} onValue={(value) => change({ sort: value })}>
                    {orders.map((order) => <option key={order} value={order}>{t(`files.sort.${order}` as Words)}</option>)}
                </Select>
            </form>
            {files.failure
                ? <Failed failure={files.failure} again={files.reload} />
                : !files.value
                    ? <Loading rows={5} />
                    : total === 0
                        ? filtered
                            ? <Empty icon="search" title={t('files.none_title')}>
                                <p>{t('files.none')}</p>
                                <Button onClick={() => { setTyped(''); replaceRoute(href('files')); }}>{t('files.reset')}</Button>
                            </Empty>
                            : <Empty icon="file" title={t('files.empty_title')}><p>{t('files.empty')}</p></Empty>
                        : <>
                            <p class="count" role="status">{counted('files.count', total)}</p>
                            <ul class="rows" aria-busy={files.busy}>
                                {files.value.data.map((file) => <FileRow key={file.id} file={file} fresh={fresh.has(file.id)} />)}
                            </ul>
                        </>}
            {files.value && (
                <Pager page={page} pages={files.value.meta.pages}
                    to={(to) => href('files', { q: search, status, sort: sort === '-created_at' ? '' : sort, page: String(to) })} />
            )}
        </>
    );
}

function FileRow({ file, fresh }: { file: SharedFile; fresh: boolean }) {
    return (
        <li class={`row file-row linked ${fresh ? 'fresh' : ''}`}>
            <span class="row-icon"><Icon name="file" /></span>
            <div class="row-main">
                <a class="row-title" href={href(`files/${file.id}`)}><Breakable text={titleOf(file)} /></a>
                <p class="row-sub">
                    {file.title && file.file_name && <><Breakable text={file.file_name} />{' · '}</>}{sizeOf(file)}
                </p>
            </div>
            <div class="row-state">
                <Status words="file_status" status={file.status} />
                {fresh && <span class="unseen">{t('files.new')}</span>}
            </div>
            <dl class="row-facts">
                <div><dt>{t('files.downloads')}</dt><dd><Usage file={file} /></dd></div>
                <div><dt>{t('files.expires')}</dt><dd><Expiry file={file} /></dd></div>
            </dl>
            <span class="row-next"><Icon name="next" /></span>
        </li>
    );
}
