// Which rows an event has made new or different, for some seconds, so that the eye finds them.
import { useEffect, useRef, useState } from 'preact/hooks';

const shown = 6000;  // ms

export function useFresh<Row extends { id: string | number }>(rows: Row[] | undefined, live: boolean): Set<string | number> {
    const before = useRef(new Map<string | number, string>());
    const [fresh, set] = useState(new Set<string | number>());
    useEffect(() => {
        if (!rows) {
            return;
        }
        const now = new Map(rows.map((row) => [row.id, JSON.stringify(row)]));
        const different = rows.filter((row) => before.current.get(row.id) !== now.get(row.id)).map((row) => row.id);
        before.current = now;
        if (live && different.length > 0) {
            set(new Set(different));
        }
    }, [rows, live]);
    useEffect(() => {
        if (fresh.size > 0) {
            const timer = setTimeout(() => set(new Set()), shown);
            return () => clearTimeout(timer);
        }
        return undefined;
    }, [fresh]);
    return fresh;
}
