import { answerLast, ask, becomes, data, finish, is, look, newContext, shot, signIn, step } from './lib/page.js';

const context = await newContext({ expected: [401, 403, 503] });
const first = await context.newPage();
const second = await context.newPage();
const row = (page, name) => page.locator('.file-row').filter({ hasText: name });
const heading = (page, name) => page.getByRole('heading', { name, level: 1 });
let streams = 0;
context.on('request', (request) => { streams += Number(/\/stream$/.test(request.url())); });

await signIn(first, 'owner@example.com');
await second.goto(`${data.url}/${data.slug}/portal`);
await heading(second, 'Files').waitFor();
let id;

await step('a new file appears in both tabs, over one stream', async () => {
    await first.waitForTimeout(500);
    id = await ask('file', 'First news');
    await Promise.all([first, second].map((page) => row(page, 'First news').waitFor()));
    is(streams, 1, 'one stream was opened');
    await second.getByText('The list of files has changed.').waitFor();  // for screen readers
});

await step('a download counts in both tabs', async () => {
    await ask('download', id);
    await Promise.all([first, second].map((page) => row(page, '1 of 10').waitFor()));
    await shot(first, 'files-fresh');
});

await step('when the tab with the stream closes, the other goes on', async () => {
    await first.close();
    await second.waitForTimeout(400);
    await ask('file', 'Second news');
    await row(second, 'Second news').waitFor();
    is(streams, 2, 'with a stream of its own');
});

await step('offline is said, and what was missed is there afterwards', async () => {
    await context.setOffline(true);
    await second.getByText('You are offline.').waitFor();
    await look(second, 'offline');
    await ask('file', 'Missed news');
    await second.waitForTimeout(300);
    is(await row(second, 'Missed news').count(), 0, 'offline nothing comes');
    await context.setOffline(false);
    await row(second, 'Missed news').waitFor();
    await becomes(() => second.getByText('You are offline.').count(), 0, 'it no longer says so');
});

await step('a list that could not be read again is read once more', async () => {
    await second.route('**/file-sharing/sessions?*', (route) => route.fulfill({ status: 503, headers: { 'Retry-After': '1' }, body: '{}' }),
        { times: 1 });
    await ask('file', 'Late news');
    await row(second, 'Late news').waitFor();
});

await step('where streams are refused the lists are read again by and by', async () => {
    const refused = await newContext({ expected: [503, 403] });
    await refused.route('**/customers/stream', (route) => route.fulfill({ status: 503, body: '{}' }));
    const page = await refused.newPage();
    await page.clock.install();
    await signIn(page, 'owner@example.com', data.slug, 2);
    await page.getByText('Live updates are not available').waitFor();
    await ask('file', 'Polled news');
    await page.clock.runFor(11_000);
    await row(page, 'Polled news').waitFor();
    await refused.close();
});

await step('a session that ends while one types asks to sign in, and what was typed is back', async () => {
    await second.getByRole('link', { name: 'Billing' }).click();
    await second.getByLabel('Name on the invoice').fill('Half typed Ltd');
    await second.getByLabel('City').fill('Springfield');
    await ask('end_all');
    await second.getByText('This session was ended somewhere else.').waitFor();
    await second.getByText('What you were typing is kept').waitFor();
    await look(second, 'ended');
    await becomes(() => second.getByLabel('E-mail address').inputValue(), 'owner@example.com', 'the address is filled in');
    await second.getByRole('button', { name: 'Send the code' }).click();
    await second.getByLabel('Code of six characters').fill(await ask('code', 'owner@example.com', 3));
    await heading(second, 'Billing details').waitFor();
    await becomes(() => second.getByLabel('Name on the invoice').inputValue(), 'Half typed Ltd', 'the name is back');
    await becomes(() => second.getByLabel('City').inputValue(), 'Springfield', 'the city is back');
    await second.getByText('is back. It is not saved yet.').waitFor();
});

await step('signing out in one tab signs out in the other', async () => {
    const third = await context.newPage();
    await third.goto(`${data.url}/${data.slug}/portal`);
    await heading(third, 'Files').waitFor();
    await answerLast(third, '**/logout');
    await third.getByRole('button', { name: 'Sign out' }).click();
    await third.getByText('You are signed out.').waitFor();
    await second.getByText('You have signed out in another tab.').waitFor();
});

await finish();
