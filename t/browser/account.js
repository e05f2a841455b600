import { ask, becomes, data, finish, is, look, newContext, ok, shot, signIn, step } from './lib/page.js';

const context = await newContext({ expected: [401, 403, 409, 422] });
const page = await context.newPage();
const start = `${data.url}/${data.slug}/portal`;
const heading = (name, on = page) => on.getByRole('heading', { name, level: 1 });
const tab = (name) => page.getByRole('navigation', { name: 'Portal' }).getByRole('link', { name });
const person = (name) => page.locator('.member-row').filter({ hasText: name });

await step('a link signs in, and its token is in no address', async () => {
    await page.goto(`${start}?customer_session_token=${data.links.owner}&email=richard%40example.com`);
    await heading('Files').waitFor();
    ok(!page.url().includes('portal_'), 'the address bar has no token');
    await page.goBack();
    ok(!page.url().includes('portal_'), 'the history neither');
    await page.goForward();
    await heading('Files').waitFor();
});

await step('another person\'s link asks before it replaces this one', async () => {
    const link = `${start}?customer_session_token=${data.links.alone}`;
    await page.goto(link);
    await heading('Sign in as somebody else?').waitFor();
    await look(page, 'link-replace');
    await page.getByRole('button', { name: 'Stay as Richard' }).click();
    await heading('Files').waitFor();
    await page.getByText('Richard Hendricks').waitFor();
    await page.goto(link);
    await page.getByRole('button', { name: 'Open the link' }).click();
    await page.getByText('Erlich Bachman').waitFor();
    is(await tab('Team').count(), 0, 'who has no team gets no tab for it');
    await page.goto(`${data.url}/portal?member_session_token=${data.links.owner}`);
    await heading('Sign in as somebody else?').waitFor();
    await page.getByRole('button', { name: 'Stay as Erlich' }).click();
    await heading('Files').waitFor();
    await page.getByText('Erlich Bachman').waitFor();
    await page.goto(`${start}?member_session_token=${data.links.owner}`);
    await page.getByRole('button', { name: 'Open the link' }).click();
    await page.getByText('Richard Hendricks').waitFor();
});

await step('billing details: a state only where there is one, errors beside their fields', async () => {
    await tab('Billing').click();
    await heading('Billing details').waitFor();
    await page.getByLabel('City').fill('Palo Alto');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Please choose a country.').waitFor();
    await becomes(() => page.getByLabel('Country').getAttribute('aria-invalid'), 'true', 'the country is marked');
    await becomes(() => page.getByLabel('State').count(), 0, 'no state without a country');
    await page.getByLabel('Country').selectOption('Germany');
    await becomes(() => page.getByLabel('State').count(), 0, 'no state in Germany');
    await page.getByLabel('Country').selectOption('United States');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Please choose one of this country.').waitFor();
    await look(page, 'billing-errors');
    await page.getByLabel('State').selectOption('California');
    await page.getByLabel('Name on the invoice').fill(' Pied Piper Inc. ');
    await page.getByLabel('Street and number').fill('5230 Newell Road');
    await page.getByLabel('Postal code').fill('94303');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.').first().waitFor();
    const { billing_name, billing_address } = await ask('customer');
    is(billing_name, 'Pied Piper Inc.', 'the name is stored, trimmed');
    is(JSON.parse(billing_address).state, 'US-CA', 'the state is stored');
    await page.reload();
    await heading('Billing details').waitFor();
    await becomes(() => page.getByLabel('City').inputValue(), 'Palo Alto', 'a reload shows it');
    await look(page, 'billing');
});

await step('what is typed survives going elsewhere on the page', async () => {
    await page.getByLabel('City').fill('San Francisco');
    await tab('Files').click();
    await heading('Files').waitFor();
    await page.goBack();
    await becomes(() => page.getByLabel('City').inputValue(), 'San Francisco', 'it is still there');
    await page.getByRole('button', { name: 'Discard' }).click();
    await becomes(() => page.getByLabel('City').inputValue(), 'Palo Alto', 'and can be thrown away');
});

await step('team: adding', async () => {
    await tab('Team').click();
    await heading('Team').waitFor();
    await person('Jared Dunn').waitFor();
    await look(page, 'team');
    await page.getByLabel('E-mail address').fill('monica');
    await page.getByRole('button', { name: 'Add to the team' }).click();
    await page.getByText('does not look like an e-mail').waitFor();
    await page.getByLabel('E-mail address').fill('monica@example.com');
    await page.getByLabel('Name', { exact: false }).last().fill('Monica Hall');
    await page.getByRole('button', { name: 'Add to the team' }).click();
    await page.getByText('Monica Hall is on the team.').first().waitFor();
    await person('Monica Hall').waitFor();
    ok(await ask('mails', 'monica@example.com', 1), 'she gets a mail');
    await page.getByLabel('E-mail address').fill('jared@example.com');
    await page.getByRole('button', { name: 'Add to the team' }).click();
    await page.getByText('Jared Dunn is on the team already.').first().waitFor();
});

await step('team: roles, removing, handing over', async () => {
    await page.getByLabel('Role of Monica Hall').selectOption('Billing manager');
    await page.getByText('Monica Hall is now: Billing manager.').waitFor();
    await page.getByRole('button', { name: 'Remove Dinesh' }).click();
    await page.getByRole('dialog').getByText('Remove Dinesh Chugtai?').waitFor();
    await look(page, 'team-remove');
    await page.keyboard.press('Escape');
    await becomes(() => page.getByRole('dialog').count(), 0, 'Escape changes nothing');
    await page.getByRole('button', { name: 'Remove Dinesh' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByText('Dinesh Chugtai is no longer on the team.').waitFor();
    await person('Dinesh').waitFor({ state: 'detached' });
    await page.getByLabel('Role of Jared Dunn').selectOption('Owner');
    await page.getByRole('dialog').getByText('Make Jared Dunn the owner?').waitFor();
    await shot(page, 'team-transfer');
    await page.getByRole('dialog').getByRole('button', { name: 'Hand over' }).click();
    await person('Jared Dunn').getByText('Owner').waitFor();
    await person('Richard Hendricks').getByText('Billing manager').waitFor();
    await becomes(() => page.getByLabel('Role of Monica Hall').getByText('Owner').count(), 0, 'a billing manager hands nothing over');
});

await step('sessions: seen and ended', async () => {
    const phone = await (await newContext({ expected: [401] })).newPage();
    await signIn(phone, 'richard@example.com');
    await tab('Sessions').click();
    await heading('Where you are signed in').waitFor();
    await page.getByText('This device').waitFor();
    await look(page, 'sessions');
    await page.getByRole('button', { name: 'End all others' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'End all others' }).click();
    await page.getByText('You are signed in nowhere else.').waitFor();
    await phone.getByText('This session was ended somewhere else.').waitFor();
});

await step('an ended link says so and leads to signing in', async () => {
    const other = await (await newContext({ expected: [401] })).newPage();
    await other.goto(`${start}?customer_session_token=${data.links.owner}&email=richard%40example.com`);
    await other.getByText('Links work for a limited time only').waitFor();
    ok(!other.url().includes('portal_'), 'its token is gone from the address');
    await look(other, 'link-ended');
});

await step('a session that is refused has run out only when its time is over', async () => {
    for (const [hours, words] of [[0, 'Your session has ended.'], [2, 'Your session has run out.']]) {
        const other = await (await newContext({ expected: [401] })).newPage();
        await other.clock.install();
        await other.goto(`${start}?customer_session_token=${data.links.alone}`);
        await heading('Files', other).waitFor();
        await other.route('**/payments*', (route) => route.fulfill({ status: 401, json: {} }));
        await other.clock.setSystemTime(Date.now() + hours * 3_600_000);
        await other.getByRole('link', { name: 'Payments' }).click();
        await other.getByText(words).waitFor();
        await other.context().close();
    }
});

await finish();
