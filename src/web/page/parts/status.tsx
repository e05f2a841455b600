import { known } from '../words';

type Tone = 'good' | 'wait' | 'bad' | 'calm';

const tones: Record<string, Tone> = {
    active: 'good', completed: 'good', paid: 'good', accepted: 'good', signed: 'good', done: 'good',
    pending: 'wait', created: 'wait', open: 'wait', sent: 'wait', unpaid: 'wait', in_progress: 'wait', viewed: 'wait',
    failed: 'bad', reported: 'bad', overdue: 'bad', declined: 'bad',
};

// `words` is the group of messages; a status that a site has made up is shown as it writes it.
export function Status({ words, status }: { words: string; status: string }) {
    const name = status.toLowerCase().replace(/[\s-]+/g, '_');
    return <span class={`status ${tones[name] ?? 'calm'}`}>{known(`${words}.${name}`) ?? status}</span>;
}
