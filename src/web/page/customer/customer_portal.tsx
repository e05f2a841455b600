// What a customer or a member sees once signed in.
import { useEffect, useState } from 'preact/hooks';

import type { Failure } from '../api';
import type { User } from '../api_types';
import { Button } from '../parts/button';
import { Frame, type Tab } from '../parts/frame';
import { Icon } from '../parts/icon';
import { Notice } from '../parts/notice';
import { Loading } from '../parts/states';
import { useRoute } from '../route';
import { nameOf, signOut } from '../session';
import { shell } from '../shell';
import { t } from '../words';
import { Billing } from './billing';
import { File } from './file';
import { Files } from './files';
import { Payments } from './payments';
import { Sessions } from './sessions';
import { Team } from './team';
import { useCustomer } from './use_customer';

// https, or http on this machine: where the person came from.
export function isWayBack(address: string | null): address is string {
    if (!address || !URL.canParse(address)) {
        return false;
    }
    const { protocol, hostname } = new URL(address);
    return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname));
}

// A host that anybody may have named is told by its name.
function nameOfBack(address: string): string {
    return shell.workspace?.lists_hosts ? shell.workspace.name : new URL(address).host;
}

export function CustomerPortal({ user, back }: { user: User; back: string | null }) {
    const { path: [screen = 'files', id] } = useRoute();
    const [failure, setFailure] = useState<Failure>();
    const customer = useCustomer();
    const mayManage = user.type === 'member' && user.role !== 'member';
    const isTeam = mayManage && customer.value?.type === 'team';

    useEffect(() => setFailure(undefined), [screen]);

    const tabs: Tab[] = [{ path: 'files', label: t('nav.files'), icon: 'file' }];
    if (user.role !== 'member') {
        tabs.push({ path: 'payments', label: t('nav.payments'), icon: 'payment' },
            { path: 'billing', label: t('nav.billing'), icon: 'billing' });
    }
    if (isTeam) {
        tabs.push({ path: 'team', label: t('nav.team'), icon: 'team' });
    }
    tabs.push({ path: 'sessions', label: t('nav.sessions'), icon: 'device' });

    const current = tabs.find(({ path }) => path === screen)?.path ?? 'files';

    function show() {
        if (screen === 'team' && mayManage && customer.busy && !customer.value) {
            return <Loading />;  // whether it is a team is not known yet
        }
        switch (current) {
            case 'payments': return <Payments />;
            case 'billing': return <Billing customer={customer} />;
            case 'team': return <Team user={user} name={customer.value?.name ?? shell.name} />;
            case 'sessions': return <Sessions />;
            default: return id ? <File key={id} id={id} showsPayments={user.role !== 'member'} /> : <Files />;
        }
    }
    return (
        <Frame tabs={tabs} current={current} account={
            <>
                {isWayBack(back) && (
                    <a class="button quiet back" href={back}><Icon name="back" />
                        <span class="button-label">{t('app.back', { name: nameOfBack(back) })}</span></a>
                )}
                <span class="who" title={user.email}><span class="unseen">{t('nav.signed_in_as', { name: '' })}</span>{nameOf(user)}</span>
                <Button look="quiet" onClick={() => void signOut().catch(setFailure)}>
                    <Icon name="out" /><span class="button-label">{t('nav.sign_out')}</span>
                </Button>
            </>
        }>
            {failure && <Notice kind="bad">{failure.words}</Notice>}
            {show()}
        </Frame>
    );
}
