import type { SharedFile } from '../api_types';
import { downloadsOf } from './file_words';

// Downloads used of those allowed, in words and, where there is a limit, as a bar.
export function Usage({ file }: { file: SharedFile }) {
    return (
        <span class="usage">
            <span>{downloadsOf(file)}</span>
            {file.max_downloads > 0 && (
                <progress max={file.max_downloads} value={Math.min(file.download_count, file.max_downloads)} aria-hidden="true" />
            )}
        </span>
    );
}
