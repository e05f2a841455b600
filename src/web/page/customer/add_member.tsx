import { useState } from 'preact/hooks';

import { announce } from '../announce';
import { request, type Failure } from '../api';
import type { Member, Role } from '../api_types';
import { useDraft } from '../drafts';
import { Button } from '../parts/button';
import { Input, Select } from '../parts/field';
import { Notice } from '../parts/notice';
import { useInvalidFocus } from '../parts/use_invalid_focus';
import { t } from '../words';
import { members } from './team';

const nobody = { email: '', name: '', role: 'member' };

export function AddMember({ team, added }: { team: Member[]; added(): void }) {
    const draft = useDraft<typeof nobody>('member');
    const [failure, setFailure] = useState<Failure>();
    const form = useInvalidFocus(failure);
    const [done, setDone] = useState('');
    const [busy, setBusy] = useState(false);
    const typed = draft.value ?? nobody;
    const type = (name: keyof typeof nobody) => (value: string) => {
        setDone('');
        draft.set({ ...typed, [name]: value });
    };

    async function add(event: Event) {
        event.preventDefault();
        if (busy) {
            return;
        }
        setBusy(true);
        setFailure(undefined);
        try {
            const member = await request<Member>(members, {
                method: 'POST',
                body: { email: typed.email.trim(), name: typed.name.trim() || null, role: typed.role as Role },
            });
            const words = team.some(({ id }) => id === member.id) ? 'team.already' : 'team.added';
            setDone(t(words, { name: member.name ?? member.email }));
            announce(t(words, { name: member.name ?? member.email }));
            draft.clear();
            added();
        } catch (error) {
            setFailure(error as Failure);
        }
        setBusy(false);
    }

    return (
        <form ref={form} class="card form add-member" onSubmit={add} noValidate aria-labelledby="add-member">
            <h2 id="add-member">{t('team.add')}</h2>
            <p class="lead">{t('team.add_lead')}</p>
            {failure && !failure.problem('email') && <Notice kind="bad">{failure.words}</Notice>}
            {done && <Notice kind="good">{done}</Notice>}
            <Input label={t('team.email')} name="email" type="email" value={typed.email} onValue={type('email')} required
                autocomplete="off" inputMode="email" autocapitalize="none" spellcheck={false}
                error={failure?.problem('email') && t('sign_in.email_invalid')} />
            <div class="pair">
                <Input label={t('team.name')} name="name" value={typed.name} onValue={type('name')} autocomplete="off" optional />
                <Select label={t('team.role')} name="role" value={typed.role} onValue={type('role')}
                    hint={t(`role_help.${typed.role as Role}`)}>
                    <option value="member">{t('role.member')}</option>
                    <option value="billing_manager">{t('role.billing_manager')}</option>
                </Select>
            </div>
            <div class="actions">
                <Button look="primary" type="submit" busy={busy}>{busy ? t('team.inviting') : t('team.invite')}</Button>
            </div>
        </form>
    );
}
