import { useEffect } from 'preact/hooks';

import { ClientApp } from './client/client_app';
import { CustomerPortal } from './customer/customer_portal';
import { OpenLink } from './link/open_link';
import { Gate } from './parts/gate';
import { Failed, Loading } from './parts/states';
import { session, start } from './session';
import { shell, takeToken } from './shell';
import { SignIn } from './sign_in/sign_in';
import { useStore } from './store';
import { t, useLanguage } from './words';

const token = takeToken();

export function App() {
    useLanguage();
    return shell.page === 'client-portal' ? <ClientApp token={token} /> : <CustomerApp />;
}

function CustomerApp() {
    const state = useStore(session);
    useEffect(() => {
        if (!token) {
            void start();
        }
    }, []);
    switch (state.state) {
        case 'starting':
            return token ? <OpenLink token={token} /> : <Gate title={t('app.title')}><Loading /></Gate>;
        case 'failed':
            return <Gate title={t('app.title')}><Failed failure={state.failure} again={() => void start()} /></Gate>;
        case 'out':
            return <SignIn key="out" why={state.why} email={state.email} drafts={state.drafts} />;
        case 'in':
            return <CustomerPortal key={`${state.user.customer_id}/${state.user.member_id}/${state.user.role}`} user={state.user} back={state.back} />;
    }
}
