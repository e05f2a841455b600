import type { SharedFile } from '../api_types';
import { Time } from '../parts/time';
import { t } from '../words';

// When a file ends, or that it has.
export function Expiry({ file }: { file: SharedFile }) {
    if (!file.expires_at) {
        return <>{t('files.never')}</>;
    }
    return Date.parse(file.expires_at) < Date.now() && file.status === 'expired'
        ? <span>{t('files.expired')} <Time at={file.expires_at} /></span> : <Time at={file.expires_at} />;
}
