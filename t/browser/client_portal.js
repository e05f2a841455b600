import { answerLast, ask, data, finish, is, look, newContext, ok, shot, step } from './lib/page.js';

const context = await newContext({ expected: [401, 403, 404, 409, 410] });
const page = await context.newPage();
const heading = (name, on = page) => on.getByRole('heading', { name, level: 1 });
const tab = (name) => page.getByRole('navigation', { name: 'Portal' }).getByRole('link', { name });
const row = (name) => page.locator('.row').filter({ hasText: name });
const band = () => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--band-from'));
const hasNoToken = async (on) => !on.url().includes('portal_cpt_') && !(await on.content()).includes('portal_cpt_');

await step('the link opens the portal, and its token is nowhere to be seen', async () => {
    await page.goto(data.link);
    await heading('Invoices').waitFor();
    ok(await hasNoToken(page), 'neither in the address nor in the page');
    await page.getByText('Acme Client Portal').first().waitFor();
    await page.getByText('Good to see you!').waitFor();
    await page.getByText('Hank Scorpio').first().waitFor();
    ok(await page.locator('.brand img').evaluate((logo) => logo.decode().then(() => logo.naturalWidth > 0)), 'the logo is there');
    await look(page, 'client-invoices');
    await page.reload();
    await heading('Invoices').waitFor();
});

await step('an item tells its amount, its date and where it opens', async () => {
    await row('Website relaunch').getByText('$4,800.00').waitFor();
    await row('Website relaunch').getByText('Overdue').waitFor();
    is(await row('Website relaunch').getByRole('link').getAttribute('href'), 'https://pay.example.com/1', 'it opens at the tenant\'s');
    await row('Hosting').getByText('Paid').waitFor();
    is(await row('Hosting').getByRole('link').count(), 0, 'what has no address is no link');
});

await step('a tab for each module, shared files and the activity', async () => {
    await tab('Tasks').click();
    await heading('Tasks').waitFor();
    await page.getByText('What Acme Ltd puts here for you appears by itself.').waitFor();
    await look(page, 'client-empty');
    await tab('Shared files').click();
    await row('Brand guidelines').getByText('0 of 3').waitFor();
    await look(page, 'client-files');
    await tab('Activity').click();
    await row('New: Website relaunch').waitFor();
    await look(page, 'client-activity');
    await page.goBack();
    await heading('Shared files').waitFor();
});

await step('new items and a changed portal appear by themselves', async () => {
    await tab('Tasks').click();
    await heading('Tasks').waitFor();
    await page.waitForTimeout(300);
    await ask('item', 'tasks', 'Sign the contract');
    await row('Sign the contract').waitFor();
    await ask('config', 'portal_name', 'Acme, renamed', 'show_activity_feed', 0);
    await page.getByText('Acme, renamed').first().waitFor();
    await tab('Activity').waitFor({ state: 'detached' });
});

await step('text can be read whatever colours a tenant picks', async () => {
    for (const [primary, secondary] of [['#777777', '#888888'], ['#000000', '#FFFFFF'], ['#FFFFFF', '#FAFAFA'], ['#FF0000', '#0000FF']]) {
        const before = await band();
        await ask('config', 'primary_color', primary, 'secondary_color', secondary);
        for (const end = Date.now() + 5000; await band() === before && Date.now() < end;) {
            await page.waitForTimeout(20);
        }
        await look(page, `client-${primary.slice(1)}`);
    }
});

await step('in German', async () => {
    await page.getByRole('button', { name: 'Deutsch' }).click();
    await heading('Aufgaben').waitFor();
    await shot(page, 'client-german');
    await page.reload();
    await heading('Aufgaben').waitFor();
    await page.getByRole('button', { name: 'English' }).click();
});

await step('another contact\'s link asks first', async () => {
    await page.goto(data.other);
    await heading('Sign in as somebody else?').waitFor();
    ok(await hasNoToken(page), 'its token is gone from the address');
    await page.getByRole('button', { name: 'Stay as Hank Scorpio' }).click();
    await heading('Invoices').waitFor();
});

await step('so does a customer\'s link, and a contact\'s where a customer is signed in', async () => {
    await page.goto(data.customer);
    await heading('Sign in as somebody else?').waitFor();
    await page.getByRole('button', { name: 'Stay as Hank Scorpio' }).click();
    await heading('Invoices').waitFor();
    ok(new URL(page.url()).pathname.endsWith('/client-portal'), 'back at the client portal');
    await page.goto(data.customer);
    await page.getByRole('button', { name: 'Open the link' }).click();
    await heading('Files').waitFor();
    await page.goto(data.link);
    await heading('Sign in as somebody else?').waitFor();
    await page.getByRole('button', { name: 'Stay as Globex' }).click();
    await heading('Files').waitFor();
    await page.goto(data.link);
    await page.getByRole('button', { name: 'Open the link' }).click();
    await heading('Invoices').waitFor();
});

await step('signing out ends it in every tab, and the link opens it again', async () => {
    const second = await context.newPage();
    await second.goto(data.link);
    await heading('Invoices', second).waitFor();
    await page.waitForTimeout(300);
    await answerLast(page, '**/logout');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    await second.getByText('You are signed out.').waitFor();
    await look(page, 'client-signed-out');
    await page.reload();
    await heading('Open the portal by your link').waitFor();
    await second.close();
    await page.goto(data.link);
    await heading('Invoices').waitFor();
});

await step('on a new device a link asks for a code, where the tenant wants that', async () => {
    await ask('require_code');
    await page.waitForTimeout(1100);
    const device = await newContext({ expected: [401, 409, 422] });
    const fresh = await device.newPage();
    await fresh.goto(data.other);
    await heading('Check your mail', fresh).waitFor();
    await fresh.getByText('m***@example.org').first().waitFor();
    ok(await hasNoToken(fresh), 'its token is gone from the address');
    await look(fresh, 'client-code');
    const slots = fresh.getByLabel('Code of six characters');
    await slots.fill('AAAAAA');
    await fresh.getByText('This code is not right').waitFor();
    await slots.fill((await ask('code', 'milton@example.org', 1)).toLowerCase());
    await heading('Invoices', fresh).waitFor();
    await fresh.getByText('Milton Waddams').first().waitFor();
    await fresh.goto(data.other);
    await heading('Invoices', fresh).waitFor();
    await fresh.goto(data.link);
    await heading('Sign in as somebody else?', fresh).waitFor();
    await fresh.getByRole('button', { name: 'Stay as Milton Waddams' }).click();
    await heading('Invoices', fresh).waitFor();
    await fresh.goto(data.link);
    await fresh.getByRole('button', { name: 'Open the link' }).click();
    await fresh.getByText('h***@example.org').first().waitFor();
    await slots.fill(await ask('code', 'hank@example.org', 1));
    await fresh.getByText('Hank Scorpio').first().waitFor();
    await device.close();
});

await step('the same without scripts', async () => {
    const device = await newContext({ javaScriptEnabled: false, expected: [401] });
    const plain = await device.newPage();
    await plain.goto(data.other);
    await plain.getByRole('button', { name: 'Open the portal' }).click();
    await heading('Check your mail', plain).waitFor();
    await plain.getByLabel('Code of six characters').fill('AAAAAA');
    await plain.getByRole('button', { name: 'Sign in' }).click();
    await plain.getByText('This code is not right').waitFor();
    await plain.getByLabel('Code of six characters').fill(await ask('code', 'milton@example.org', 2));
    await plain.getByRole('button', { name: 'Sign in' }).click();
    await heading('You are signed in.', plain).waitFor();
    ok(!plain.url().includes('portal_cpt_'), 'no token in the address');
    await device.close();
});

await step('a link that is withdrawn ends what it opened', async () => {
    await page.waitForTimeout(300);
    is(Number(await ask('revoke')), 204, 'it is revoked');
    await heading('This link no longer works').waitFor();
    await look(page, 'client-ended');
    await page.goto(data.link);
    await heading('This link no longer works').waitFor();
    await page.goto(data.unknown);
    await heading('This link no longer works').waitFor();
    ok(await hasNoToken(page), 'an unknown token goes from the address, too');
});

await finish();
