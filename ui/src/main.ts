/** Starts the page: language, session and the page's code, then what is seen. */
import { mount } from 'svelte';
import App from './App.svelte';
import { choose, speak } from './i18n/index.svelte';
import { watchNetwork } from './lib/connection.svelte';
import { apply, preference } from './lib/preference.svelte';
import { router, startRouter } from './lib/router.svelte';
import { enter } from './lib/project.svelte';
import { begin } from './lib/session.svelte';
import { find } from './routes/index';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/shell.css';
import './styles/control.css';
import './styles/overlay.css';
import './styles/tabs.css';
import './styles/chip.css';
import './styles/table.css';
import './styles/meter.css';
import './styles/code.css';
import './styles/feedback.css';
import './styles/own.css';
import './styles/narrow.css';
import './styles/utility.css';

apply();
startRouter();
watchNetwork();
// What the page needs is asked for side by side.
const found = find(router.path);
void found?.route.load().catch(() => undefined);
const begun = begin();
if (found?.params.project !== undefined) void enter(found.params.project);
await speak(choose(navigator.languages, preference.language));
await begun;
mount(App, { target: document.body });
document.getElementById('boot')?.remove();
