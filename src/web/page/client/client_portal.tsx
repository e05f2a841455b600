// What a contact or a company sees: a tab for each module its tenant has switched on, shared files, what happened.
import { useEffect, useState } from 'preact/hooks';

import type { Failure } from '../api';
import { Button } from '../parts/button';
import { Frame, type Tab } from '../parts/frame';
import { Heading } from '../parts/heading';
import { Icon } from '../parts/icon';
import { Notice } from '../parts/notice';
import { Empty } from '../parts/states';
import { useRoute } from '../route';
import { useData } from '../use_data';
import { t } from '../words';
import { Activities } from './activities';
import { brand } from './branding';
import { getMe, nameOf, type Me } from './client_api';
import { Items } from './items';
import { LinkedFiles } from './linked_files';
import { moduleIcon, moduleName } from './modules';

interface Props {
    me: Me;
    onSignOut(): Promise<void>;
}

export function ClientPortal({ me, onSignOut }: Props) {
    const { path: [wanted = ''] } = useRoute();
    const [failure, setFailure] = useState<Failure>();
    // the tenant may change its portal while it is looked at
    const { value: now = me } = useData('me', () => getMe(), ({ type }) => type === 'client_portal.config_updated');
    const { config, workspace } = now;
    useEffect(() => brand(config), [config]);

    const tabs: Tab[] = config.enabled_modules.map((module) => (
        { path: module, label: moduleName(module), icon: moduleIcon(module) }));
    if (config.allow_file_sharing) {
        tabs.push({ path: 'shared', label: t('client.shared'), icon: 'link' });
    }
    if (config.show_activity_feed) {
        tabs.push({ path: 'activity', label: t('client.activity'), icon: 'activity' });
    }
    const current = tabs.find(({ path }) => path === wanted)?.path ?? tabs[0]?.path ?? '';

    function show() {
        switch (current) {
            case '': return (
                <>
                    <Heading title={config.portal_name} />
                    <Empty icon="info" title={t('client.nothing_title')}><p>{t('client.nothing', { name: workspace.name })}</p></Empty>
                </>
            );
            case 'shared': return <LinkedFiles />;
            case 'activity': return <Activities />;
            default: return <Items key={current} module={current} tenant={workspace.name} />;
        }
    }
    return (
        <Frame tabs={tabs} current={current} name={config.portal_name}
            account={
                <>
                    <span class="who"><span class="unseen">{t('nav.signed_in_as', { name: '' })}</span>{nameOf(me)}</span>
                    <Button look="quiet" onClick={() => void onSignOut().catch(setFailure)}>
                        <Icon name="out" /><span class="button-label">{t('nav.sign_out')}</span>
                    </Button>
                </>
            }>
            {failure && <Notice kind="bad">{failure.words}</Notice>}
            {config.welcome_message && (
                <section class="band" aria-label={config.portal_name}>
                    <p class="band-for">{t('client.for', { name: nameOf(me) })}</p>
                    <p class="band-welcome">{config.welcome_message}</p>
                </section>
            )}
            {show()}
        </Frame>
    );
}
