import { answerLast, ask, becomes, data, finish, is, look, newContext, ok, step } from './lib/page.js';

const page = await (await newContext({ expected: [401, 409, 422] })).newPage();
const code = page.getByLabel('Code of six characters');
const heading = (name) => page.getByRole('heading', { name, level: 1 });
const start = `${data.url}/${data.slug}/portal`;

await step('an address that is none is told beside its field', async () => {
    await page.goto(start);
    await page.getByLabel('E-mail address').fill('mike');
    await look(page, 'sign-in');
    await page.getByRole('button', { name: 'Send the code' }).click();
    await page.getByText('does not look like an e-mail').waitFor();
    await becomes(() => page.getByLabel('E-mail address').getAttribute('aria-invalid'), 'true', 'the field says that it is wrong');
    await becomes(() => page.evaluate(() => document.activeElement.name), 'email', 'and has the focus');
});

let right;
await step('the code is asked for, and the focus is where it goes', async () => {
    await page.getByLabel('E-mail address').fill(' mike@example.com ');
    await page.keyboard.press('Enter');
    await heading('Check your mail').waitFor();
    right = await ask('code', 'mike@example.com', 1);
    await becomes(() => page.evaluate(() => document.activeElement.getAttribute('autocomplete')), 'one-time-code', 'the browser may fill it in');
    await look(page, 'code');
});

await step('back leads to the address, forward and a reload to the code', async () => {
    await page.goBack();
    await heading(/Sign in to Acme/).waitFor();
    await becomes(() => page.getByLabel('E-mail address').inputValue(), 'mike@example.com', 'the address is still there');
    await page.goForward();
    await heading('Check your mail').waitFor();
    await page.reload();
    await heading('Check your mail').waitFor();
    ok(await page.getByText('mike@example.com').first().isVisible(), 'whose code it is stands there after a reload');
});

await step('a wrong code says so and can be typed again', async () => {
    await code.fill(right === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA');
    await page.getByRole('alert').filter({ hasText: 'not right' }).waitFor();
    await becomes(() => code.inputValue(), '', 'the slots are empty again');
    await look(page, 'code-wrong');
    await page.getByText('No mail?').click();
    await page.getByText('spam folder').waitFor();
    await becomes(() => page.getByRole('button', { name: /Send it again in/ }).getAttribute('aria-disabled'), 'true', 'it can be sent again only later');
});

await step('a right code pasted in lower case with blanks signs in', async () => {
    await code.focus();
    await page.evaluate((text) => {
        const pasted = new DataTransfer();
        pasted.setData('text/plain', text);
        document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: pasted, bubbles: true }));
        document.execCommand('insertText', false, text);
    }, ` ${right.slice(0, 3)} ${right.slice(3)} `.toLowerCase());
    await heading('Files').waitFor();
    await page.getByText('Mike Smith').waitFor();
});

await step('a reload stays signed in, signing out says so', async () => {
    await page.reload();
    await heading('Files').waitFor();
    await page.waitForTimeout(500);
    await answerLast(page, '**/logout');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    await page.reload();
    await heading(/Sign in to Acme/).waitFor();
});

await step('an address of two accounts chooses one of them after the code', async () => {
    await page.getByLabel('E-mail address').fill('two@example.com');
    await page.keyboard.press('Enter');
    await code.fill(await ask('code', 'two@example.com', 1));
    await heading('Which account?').waitFor();
    await look(page, 'choice');
    await page.getByRole('button', { name: 'Second Account' }).click();
    await heading('Files').waitFor();
    await page.getByText('Tom of Second Account').waitFor();
});

await step('sent again it is the same code; tried too often it is a new one', async () => {
    const other = await (await newContext({ expected: [401] })).newPage();
    const typed = other.getByLabel('Code of six characters');
    await other.clock.install();
    await other.goto(start);
    await other.getByLabel('E-mail address').fill('again@example.com');
    await other.keyboard.press('Enter');
    const first = await ask('code', 'again@example.com', 1);
    await other.getByRole('button', { name: /Send it again in/ }).waitFor();
    await other.clock.fastForward(31_000);
    await other.getByRole('button', { name: 'Send it again', exact: true }).click();
    is(await ask('code', 'again@example.com', 2), first, 'the same code');
    for (let tries = 1; tries <= 5; ++tries) {
        await typed.fill(`WRONG${tries}`);
        await other.getByRole('alert').filter({ hasText: tries < 5 ? 'not right' : 'tried too often' }).waitFor();
        await other.waitForFunction(() => document.querySelector('[name=code]').value === '');
    }
    await look(other, 'code-used');
    await other.getByRole('button', { name: 'Have a new code sent' }).click();
    const second = await ask('code', 'again@example.com', 3);
    ok(second !== first, 'another code');
    await typed.fill(second);
    await other.getByRole('heading', { name: 'Files', level: 1 }).waitFor();
});

await finish();
