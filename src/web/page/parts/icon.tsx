// Line drawings on a grid of 24, for the eye only: what they mean is always written beside them or in a label.
const paths = {
    file: 'M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8zM14 3v5h5',
    payment: 'M3 7a2 2 0 0 1 2-2h14a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zM3 10h18M7 15h3',
    billing: 'M6 3h12v18l-3-2-3 2-3-2-3 2zM9.5 8h5M9.5 12h5',
    team: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14.2a6.5 6.5 0 0 1 3.5 5.8',
    device: 'M4 5h16v11H4zM2 20h20M10 16v4M14 16v4',
    mail: 'M3 6h18v12H3zM3 7l9 6 9-6',
    search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14M20 20l-4-4',
    back: 'M19 12H5M11 6l-6 6 6 6',
    next: 'M9 6l6 6-6 6',
    out: 'M10 4H5v16h5M15 8l4 4-4 4M19 12H9',
    close: 'M6 6l12 12M18 6L6 18',
    warning: 'M12 4L2.5 20h19zM12 10v4M12 17v.01',
    info: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 11v5M12 8v.01',
    check: 'M5 12.5l4.5 4.5L19 7.5',
    offline: 'M3 3l18 18M8.5 16a5 5 0 0 1 7 0M5 12.5a10 10 0 0 1 4-2.4M15 10.2a10 10 0 0 1 4 2.3M12 20v.01',
    link: 'M14 4h6v6M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5',
    task: 'M4 5h16v14H4zM8 12l3 3 5-6',
    project: 'M3 6h7l2 2h9v11H3z',
    ticket: 'M3 8V6h18v2a4 4 0 0 0 0 8v2H3v-2a4 4 0 0 0 0-8M14 6v12',
    contract: 'M6 3h12v18H6zM9 8h6M9 12h6M9 17c1.5-2 2.5 1 4 0s1-.5 2-.5',
    activity: 'M3 12h4l3-8 4 16 3-8h4',
    plus: 'M12 5v14M5 12h14',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
    return (
        <svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
            <path d={paths[name]} fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round"
                stroke-linejoin="round" />
        </svg>
    );
}
