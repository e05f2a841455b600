import { ask, becomes, data, finish, newContext, ok, shot, step } from './lib/page.js';

const context = await newContext({ javaScriptEnabled: false, expected: [401, 403, 409] });
const page = await context.newPage();
const start = `${data.url}/${data.slug}/portal`;
const heading = (name) => page.getByRole('heading', { name, level: 1 });
const code = page.getByLabel('Code of six characters');
const signedIn = async () => (await context.cookies()).some(({ name }) => name.endsWith(`portal_${data.slug}`));

async function askForCode(email) {
    await page.goto(start);
    await page.getByLabel('E-mail address').fill(email);
    await page.getByRole('button', { name: 'Send the code' }).click();
    await heading('Check your mail').waitFor();
}

await step('a code signs in, a wrong one says why not', async () => {
    await askForCode('mike@example.com');
    await shot(page, 'no-script-code');
    const right = await ask('code', 'mike@example.com', 1);
    await code.fill(right === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'not right' }).waitFor();
    await shot(page, 'no-script-wrong');
    await code.fill(` ${right.toLowerCase()} `);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await heading('You are signed in.').waitFor();
    ok(await signedIn(), 'the cookie is there');
    await page.reload();
    await heading('You are signed in.').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading(/Sign in to Acme/).waitFor();
    ok(!await signedIn(), 'and gone');
});

await step('an address of two accounts chooses', async () => {
    await askForCode('two@example.com');
    await code.fill(await ask('code', 'two@example.com', 1));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await heading('Which account?').waitFor();
    await shot(page, 'no-script-choice');
    await page.getByRole('button', { name: 'Second Account' }).click();
    await heading('You are signed in.').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
});

await step('a link opens by a button', async () => {
    await page.goto(`${start}?customer_session_token=${data.link}`);
    await page.getByRole('button', { name: 'Open the portal' }).click();
    await heading('You are signed in.').waitFor();
    ok(!page.url().includes('portal_cst_'), 'its token is gone from the address');
});

await step('another person\'s asks first', async () => {
    for (const [kind, answer] of [['link', 'Stay signed in'], ['button', 'Open the link']]) {
        await page.goto(`${start}?customer_session_token=${data.another}`);
        await page.getByRole('button', { name: 'Open the portal' }).click();
        await heading('Sign in as somebody else?').waitFor();
        await shot(page, 'no-script-replace');
        await page.getByRole(kind, { name: answer }).click();
        await heading('You are signed in.').waitFor();
    }
});

await step('in German', async () => {
    await page.getByRole('link', { name: 'Deutsch' }).click();
    await page.getByText('Sie sind angemeldet.').waitFor();
    await page.goto(start);
    await becomes(() => page.locator('html').getAttribute('lang'), 'de', 'it is remembered');
});

await finish();
