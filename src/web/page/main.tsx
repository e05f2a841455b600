import { render } from 'preact';

import './styles/base.css';
import './styles/parts.css';
import './styles/gate.css';
import './styles/frame.css';
import './styles/lists.css';
import { App } from './app';
import { brand } from './client/branding';
import { shell } from './shell';
import { setLanguage } from './words';

setLanguage(shell.language);
if (shell.branding) {
    brand(shell.branding);
}
const place = document.getElementById('portal');
if (place) {
    place.replaceChildren();  // what is there for browsers without scripts
    render(<App />, place);
}
