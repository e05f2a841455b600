// How a module of the client portal is called and drawn.
import type { IconName } from '../parts/icon';
import { known } from '../words';

const icons: Record<string, IconName> = {
    invoices: 'billing', proposals: 'contract', contracts: 'contract', tasks: 'task', projects: 'project',
    tickets: 'ticket', files: 'file',
};

export function moduleIcon(module: string): IconName {
    return icons[module] ?? 'file';
}

export function moduleName(module: string): string {
    return known(`client.module.${module}`) ?? module;
}
