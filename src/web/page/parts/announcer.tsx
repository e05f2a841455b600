import { announcement } from '../announce';
import { useStore } from '../store';

export function Announcer() {
    return <p class="unseen" role="status" aria-live="polite">{useStore(announcement)}</p>;
}
