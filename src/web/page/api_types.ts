// What the API answers; src/api/openapi says more of each.

export interface Page<Row> {
    data: Row[];
    meta: { total: number; page: number; per_page: number; pages: number };
}

export type Role = 'owner' | 'billing_manager' | 'member';

export interface User {
    type: 'customer' | 'member';
    name: string | null;
    email: string;
    customer_id: string;
    member_id: string | null;
    role: Role | null;
}

export interface Address {
    country: string | null;
    line1: string | null;
    line2: string | null;
    postal_code: string | null;
    city: string | null;
    state: string | null;
}

export interface Customer {
    id: string;
    modified_at: string | null;
    email: string;
    email_verified: boolean;
    name: string | null;
    billing_name: string | null;
    billing_address: Address | null;
    type: 'individual' | 'team' | null;
}

export const fileStatuses = ['created', 'active', 'completed', 'expired', 'destroyed', 'reported'] as const;

export interface SharedFile {
    id: string;
    created_at: string;
    modified_at: string | null;
    short_slug: string;
    long_slug: string;
    status: (typeof fileStatuses)[number];
    max_downloads: number;
    download_count: number;
    price_cents: number | null;
    currency: string;
    title: string | null;
    file_name: string | null;
    file_size_bytes: number | null;
    expires_at: string | null;
    activated_at: string | null;
    completed_at: string | null;
}

export interface Download {
    id: string;
    created_at: string;
    slot_number: number;
}

export interface Payment {
    id: string;
    created_at: string;
    modified_at: string | null;
    session_id: string;
    status: 'pending' | 'completed' | 'refunded' | 'failed';
    amount_cents: number;
    currency: string;
    platform_fee_cents: number;
    buyer_email: string | null;
    buyer_name: string | null;
}

export interface Member {
    id: string;
    email: string;
    name: string | null;
    role: Role;
}

export interface SignIn {
    id: string;
    created_at: string;
    expires_at: string;
    last_seen_at: string | null;
    device: string | null;
    signed_in_by: string;
    current: boolean;
}

export interface Item {
    id: number;
    created_at: string;
    modified_at: string | null;
    module: string;
    external_id: string;
    title: string;
    status: string;
    amount_cents: number | null;
    currency: string | null;
    due_at: string | null;
    url: string | null;
}
