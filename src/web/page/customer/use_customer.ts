import { request } from '../api';
import type { Customer } from '../api_types';
import { useData, type Loaded } from '../use_data';

export const me = '/api/customer-portal/customers/me';

// The customer who is signed in; a member's own customer.
export function useCustomer(): Loaded<Customer> {
    return useData('customer', (signal) => request<Customer>(me, { signal }), (event) => event.type.startsWith('customer.'));
}
