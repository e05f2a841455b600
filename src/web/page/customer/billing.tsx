import { useMemo, useRef, useState } from 'preact/hooks';

import { announce } from '../announce';
import { Failure, request } from '../api';
import type { Address, Customer } from '../api_types';
import { useDraft } from '../drafts';
import { Button } from '../parts/button';
import { Input, Select } from '../parts/field';
import { Heading } from '../parts/heading';
import { Notice } from '../parts/notice';
import { Failed, Loading } from '../parts/states';
import { useInvalidFocus } from '../parts/use_invalid_focus';
import type { Loaded } from '../use_data';
import { language, t } from '../words';
import { countryList, stateList } from './places';
import { me } from './use_customer';

type Typed = Record<'billing_name' | keyof Address, string>;

function stored(customer: Customer): Typed {
    const address = customer.billing_address;
    return {
        // the name it falls back to is not one that was given
        billing_name: customer.billing_name === customer.name ? '' : customer.billing_name ?? '',
        country: address?.country ?? '',
        line1: address?.line1 ?? '',
        line2: address?.line2 ?? '',
        postal_code: address?.postal_code ?? '',
        city: address?.city ?? '',
        state: address?.state ?? '',
    };
}

// An address is changed as a whole; one of which nothing was typed stays as it is.
function bodyOf({ billing_name, ...address }: Typed) {
    const given = Object.entries(address).map(([name, text]) => [name, text.trim() || null] as const);
    const any = given.some(([, text]) => text !== null);
    return { billing_name, billing_address: any ? { ...Object.fromEntries(given), country: address.country } : null };
}

export function Billing({ customer }: { customer: Loaded<Customer> }) {
    const { value, failure } = customer;
    return (
        <>
            <Heading title={t('billing.title')}><p class="lead">{t('billing.lead')}</p></Heading>
            {value ? <BillingForm customer={value} saved={customer.reload} />
                : failure ? <Failed failure={failure} again={customer.reload} /> : <Loading rows={5} />}
        </>
    );
}

function BillingForm({ customer, saved }: { customer: Customer; saved(): void }) {
    const draft = useDraft<Typed>('billing');
    const before = useRef(customer.modified_at);
    const [failure, setFailure] = useState<Failure>();
    const form = useInvalidFocus(failure);
    const [busy, setBusy] = useState(false);
    const [done, setDone] = useState(false);
    if (!draft.value) {
        before.current = customer.modified_at;
    }
    const typed = draft.value ?? stored(customer);
    const countries = useMemo(countryList, [language()]);
    const states = stateList(typed.country);

    function type(name: keyof Typed) {
        return (value: string) => {
            setDone(false);
            draft.set({ ...typed, [name]: value, ...(name === 'country' ? { state: '' } : {}) });
        };
    }

    async function save(event: Event) {
        event.preventDefault();
        if (busy) {
            return;
        }
        setBusy(true);
        setFailure(undefined);
        try {
            await request<Customer>(me, { method: 'PATCH', body: bodyOf(typed) });
            draft.clear();
            setDone(true);
            announce(t('billing.saved'));
            saved();
        } catch (error) {
            setFailure(error as Failure);
        }
        setBusy(false);
    }

    function error(field: keyof Typed): string | undefined {
        const problem = failure?.problem(field);
        if (!problem) {
            return undefined;
        }
        switch (field) {
            case 'country': return t('billing.country_invalid');
            case 'state': return t('billing.state_invalid');
            default: return t(problem.type === 'string_too_long' ? 'error.too_long' : 'error.field');
        }
    }
    const changedElsewhere = draft.value !== undefined && customer.modified_at !== before.current;
    return (
        <form ref={form} class="card form billing" onSubmit={save} noValidate>
            {draft.restored && <Notice kind="info">{t('billing.restored')}</Notice>}
            {changedElsewhere && <Notice kind="info">{t('billing.changed_elsewhere')}</Notice>}
            {failure && <Notice kind="bad">{failure.words}</Notice>}
            {done && <Notice kind="good">{t('billing.saved')}</Notice>}
            <p class="static">
                <span class="label">{t('billing.email')}</span>
                <span class="breakable">{customer.email}</span>
                <span class={`status ${customer.email_verified ? 'good' : 'wait'}`}>
                    {t(customer.email_verified ? 'billing.email_verified' : 'billing.email_unverified')}
                </span>
            </p>
            <Input label={t('billing.name')} name="billing_name" value={typed.billing_name} autocomplete="billing name"
                optional onValue={type('billing_name')} error={error('billing_name')}
                hint={t('billing.name_hint', { name: customer.name ?? customer.email })} />
            <Select label={t('billing.country')} name="country" value={typed.country} autocomplete="billing country"
                onValue={type('country')} error={error('country')}>
                <option value="">{t('billing.country_choose')}</option>
                {countries.map(({ code, name }) => <option key={code} value={code}>{name}</option>)}
            </Select>
            <Input label={t('billing.line1')} name="line1" value={typed.line1} autocomplete="billing address-line1"
                onValue={type('line1')} error={error('line1')} />
            <Input label={t('billing.line2')} name="line2" value={typed.line2} autocomplete="billing address-line2"
                optional onValue={type('line2')} error={error('line2')} />
            <div class="pair">
                <Input label={t('billing.postal_code')} name="postal_code" value={typed.postal_code}
                    autocomplete="billing postal-code" onValue={type('postal_code')} error={error('postal_code')} />
                <Input label={t('billing.city')} name="city" value={typed.city} autocomplete="billing address-level2"
                    onValue={type('city')} error={error('city')} />
            </div>
            {states.length > 0 && (
                <Select label={t(typed.country === 'US' ? 'billing.state_us' : 'billing.state_ca')} name="state"
                    value={typed.state} autocomplete="billing address-level1" onValue={type('state')}
                    error={error('state')}>
                    <option value="">{t('billing.state_choose')}</option>
                    {states.map(({ code, name }) => <option key={code} value={code}>{name}</option>)}
                </Select>
            )}
            <div class="actions">
                {draft.value && <Button onClick={draft.clear}>{t('billing.discard')}</Button>}
                <Button look="primary" type="submit" busy={busy}>{busy ? t('billing.saving') : t('billing.save')}</Button>
            </div>
        </form>
    );
}
