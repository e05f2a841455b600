import { ask, data, finish, is, newContext, step } from './lib/page.js';

const page = await (await newContext({ expected: [401] })).newPage();
const frame = page.frameLocator('iframe');
const files = frame.getByRole('heading', { name: 'Files', level: 1 });

await step('a link in a frame signs in, and rows appear by themselves', async () => {
    await page.goto(`${data.embedder}/link.html`);
    await files.waitFor();
    await frame.getByText('Mike Smith').waitFor();
    await page.waitForTimeout(300);
    await ask('file');
    await frame.getByText('Fresh from the site').waitFor();
    is((await page.context().cookies()).length, 0, 'without any cookie');
});

await step('so does a code', async () => {
    await page.goto(`${data.embedder}/code.html`);
    is(await frame.getByLabel('E-mail address').inputValue(), 'mike@example.com', 'the address is filled in');
    await frame.getByRole('button', { name: 'Send the code' }).click();
    await frame.getByLabel('Code of six characters').fill(await ask('code', 'mike@example.com', 1));
    await files.waitFor();
    await frame.getByRole('link', { name: 'Billing' }).click();
    await frame.getByLabel('City').fill('Springfield');
    await frame.getByLabel('Country').selectOption('Germany');
    await frame.getByRole('button', { name: 'Save' }).click();
    await frame.getByText('Saved.').first().waitFor();
});

await finish();
