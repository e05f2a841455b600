// How a file is told of, in the list and on its own screen.
import type { SharedFile } from '../api_types';
import { money, size } from '../format';
import { shell } from '../shell';
import { t } from '../words';

const over = ['expired', 'destroyed', 'completed'];

export function titleOf(file: SharedFile): string {
    return file.title ?? file.file_name ?? t('files.untitled');
}

export function sizeOf(file: SharedFile): string {
    return file.file_size_bytes === null ? t('files.size_unknown') : size(file.file_size_bytes);
}

export function priceOf(file: SharedFile): string {
    return file.price_cents ? money(file.price_cents, file.currency) : t('files.free');
}

export function downloadsOf(file: SharedFile): string {
    return file.max_downloads === 0
        ? t('files.downloads_unlimited', { used: file.download_count })
        : t('files.downloads_of', { used: file.download_count, allowed: file.max_downloads });
}

// Where it opens: the workspace's template with the file's names in it, when it has one.
export function addressOf(file: SharedFile): string | undefined {
    const template = shell.workspace?.share_url;
    if (!template || over.includes(file.status)) {
        return undefined;
    }
    return template.replace(/\{(short_slug|long_slug|id)\}/g,
        (_, name: 'short_slug' | 'long_slug' | 'id') => encodeURIComponent(file[name]));
}
