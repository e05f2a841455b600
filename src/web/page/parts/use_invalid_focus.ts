// After an answer that refuses what was filled in, the focus is on the first field that is wrong.
import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Failure } from '../api';

export function useInvalidFocus(failure: Failure | undefined): RefObject<HTMLFormElement> {
    const form = useRef<HTMLFormElement>(null);
    useEffect(() => {
        if (failure) {
            form.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
        }
    }, [failure]);
    return form;
}
