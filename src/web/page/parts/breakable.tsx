// A name of any length: a line may end where a file's name or an address has a joint, before it has to end anywhere.
import { Fragment } from 'preact';

export function Breakable({ text }: { text: string }) {
    return <>{(text.match(/[^_.@-]+[_.@-]*|[_.@-]+/g) ?? []).map((part, at) => <Fragment key={at}>{at > 0 && <wbr />}{part}</Fragment>)}</>;
}
