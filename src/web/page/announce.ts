// What a screen reader is told although nothing has the focus: lists that change by themselves, forms that were saved.
import { Store } from './store';

export const announcement = new Store('');

export function announce(text: string) {
    announcement.set('');  // the same words twice are two announcements
    setTimeout(() => announcement.set(text), 50);
}
