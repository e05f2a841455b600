// Who is on the team: adding, roles, handing over, removing.
import { useState } from 'preact/hooks';

import { announce } from '../announce';
import { request, type Failure } from '../api';
import type { Member, Role, User } from '../api_types';
import { Avatar } from '../parts/avatar';
import { Breakable } from '../parts/breakable';
import { Button } from '../parts/button';
import { Dialog } from '../parts/dialog';
import { Heading } from '../parts/heading';
import { Notice } from '../parts/notice';
import { Failed, Loading } from '../parts/states';
import { start } from '../session';
import { useData } from '../use_data';
import { t } from '../words';
import { AddMember } from './add_member';

export const members = '/api/customer-portal/members';

type Question = { kind: 'remove' | 'transfer'; member: Member };

export function Team({ user, name }: { user: User; name: string }) {
    const team = useData('team', (signal) => request<Member[]>(members, { signal }),
        (event) => event.type.startsWith('customer.') || event.type.startsWith('member.'));
    const [question, setQuestion] = useState<Question>();
    const [failure, setFailure] = useState<Failure>();
    const [busy, setBusy] = useState(false);

    async function act(action: () => Promise<string>) {
        setBusy(true);
        setFailure(undefined);
        try {
            announce(await action());
            team.reload();
        } catch (error) {
            setFailure(error as Failure);
        }
        setBusy(false);
        setQuestion(undefined);
    }
    const called = (member: Member) => member.name ?? member.email;

    const setRole = (member: Member, role: Role) => act(async () => {
        await request(`${members}/${member.id}`, { method: 'PATCH', body: { role } });
        if (role === 'owner') {
            await start();  // what one may do has changed
            return t('team.transferred', { name: called(member) });
        }
        return t('team.role_changed', { name: called(member), role: t(`role.${role}`) });
    });
    const remove = (member: Member) => act(async () => {
        await request(`${members}/${member.id}`, { method: 'DELETE' });
        return t('team.removed', { name: called(member) });
    });

    return (
        <>
            <Heading title={t('team.title')}><p class="lead">{t('team.lead', { name })}</p></Heading>
            {failure && <Notice kind="bad">{failure.words}</Notice>}
            {team.failure
                ? <Failed failure={team.failure} again={team.reload} />
                : !team.value
                    ? <Loading />
                    : <ul class="rows" aria-busy={team.busy}>
                        {team.value.map((member) => (
                            <li key={member.id} class="row member-row">
                                <Avatar name={called(member)} />
                                <div class="row-main">
                                    <span class="row-title"><Breakable text={called(member)} /></span>
                                    {member.name && <p class="row-sub breakable"><Breakable text={member.email} /></p>}
                                </div>
                                {member.id === user.member_id
                                    ? <span class="row-end"><span class="status calm">{t(`role.${member.role}`)}</span> {t('team.you')}</span>
                                    : member.role === 'owner'
                                        ? <span class="row-end"><span class="status calm">{t('role.owner')}</span></span>
                                        : <div class="row-end">
                                            <RoleSelect member={member} mayHandOver={user.role === 'owner'} name={called(member)}
                                                onRole={(role) => {
                                                    if (role === 'owner') {
                                                        setQuestion({ kind: 'transfer', member });
                                                    } else {
                                                        void setRole(member, role);
                                                    }
                                                }} />
                                            <Button look="quiet" aria-label={t('team.remove_of', { name: called(member) })}
                                                onClick={() => setQuestion({ kind: 'remove', member })}>
                                                {t('team.remove')}
                                            </Button>
                                        </div>}
                            </li>
                        ))}
                    </ul>}
            <AddMember team={team.value ?? []} added={team.reload} />
            {question?.kind === 'remove' && (
                <Dialog title={t('team.remove_title', { name: called(question.member) })} action={t('team.remove')} danger
                    busy={busy} onAction={() => void remove(question.member)} onClose={() => setQuestion(undefined)}>
                    <p>{t('team.remove_lead')}</p>
                </Dialog>
            )}
            {question?.kind === 'transfer' && (
                <Dialog title={t('team.transfer_title', { name: called(question.member) })} action={t('team.transfer')} danger
                    busy={busy} onAction={() => void setRole(question.member, 'owner')} onClose={() => setQuestion(undefined)}>
                    <p>{t('team.transfer_lead')}</p>
                </Dialog>
            )}
        </>
    );
}

function RoleSelect({ member, name, mayHandOver, onRole }:
    { member: Member; name: string; mayHandOver: boolean; onRole(role: Role): void }) {
    const roles: Role[] = mayHandOver ? ['owner', 'billing_manager', 'member'] : ['billing_manager', 'member'];
    return (
        <select class="input select" aria-label={t('team.role_of', { name })} value={member.role}
            onChange={(event) => {
                const role = event.currentTarget.value as Role;
                event.currentTarget.value = member.role;  // until the server has agreed
                onRole(role);
            }}>
            {roles.map((role) => <option key={role} value={role}>{t(`role.${role}`)}</option>)}
        </select>
    );
}
