// A value that components follow.
import { useEffect, useState } from 'preact/hooks';

export class Store<Value> {
    private readonly listeners = new Set<() => void>();

    constructor(private current: Value) {}

    get value(): Value {
        return this.current;
    }

    set(value: Value) {
        if (value !== this.current) {
            this.current = value;
            this.listeners.forEach((listener) => listener());
        }
    }

    follow(listener: () => void): () => void {
        this.listeners.add(listener);
        return () => void this.listeners.delete(listener);
    }
}

export function useStore<Value>(store: Store<Value>): Value {
    const [value, set] = useState(store.value);
    useEffect(() => {
        const listener = () => set(() => store.value);
        listener();
        return store.follow(listener);
    }, [store]);
    return value;
}
