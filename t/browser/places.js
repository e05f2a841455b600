import { ask, becomes, data, finish, look, newContext, ok, step } from './lib/page.js';

const page = await (await newContext({ expected: [409] })).newPage();
const heading = (name, on = page) => on.getByRole('heading', { name, level: 1 });

await step('who does not know his workspace chooses it after the code', async () => {
    await page.goto(`${data.url}/portal`);
    await heading('Sign in').waitFor();
    await look(page, 'sign-in-anywhere');
    await page.getByLabel('E-mail address').fill('mike@example.com');
    await page.keyboard.press('Enter');
    await page.getByLabel('Code of six characters').fill(await ask('code', 'mike@example.com', 1));
    await heading('Where do you want to go?').waitFor();
    await page.getByRole('button', { name: 'Hooli Inc' }).click();
    await heading('Files').waitFor();
    await becomes(() => new URL(page.url()).pathname, `/shop/${data.other}/portal`, 'and is there, below the prefix');
});

await step('signed in at one workspace is not signed out by another, and the way back is there', async () => {
    await page.goto(data.link);
    await heading('Files').waitFor();
    await becomes(() => page.getByRole('link', { name: 'Back to shop.example.com' }).getAttribute('href'), 'https://shop.example.com/cart', 'it leads to the shop');
    await ask('hosts');
    await page.reload();
    await heading('Files').waitFor();
    await becomes(() => page.getByRole('link', { name: 'Back to Acme Ltd' }).getAttribute('href'), 'https://shop.example.com/cart', 'the workspace\'s, where it lists its hosts');
    await page.goto(`${data.url}/${data.other}/portal`);
    await heading('Files').waitFor();
    await page.getByText('Hooli Inc').first().waitFor();
});

await step('in the browser\'s language, until another is chosen', async () => {
    const german = await (await newContext({ locale: 'de-DE' })).newPage();
    await german.goto(`${data.url}/${data.slug}/portal`);
    await heading('Bei Acme Ltd anmelden', german).waitFor();
    await look(german, 'sign-in-german');
    await german.getByRole('button', { name: 'English' }).click();
    await heading('Sign in to Acme Ltd', german).waitFor();
    await german.reload();
    await heading('Sign in to Acme Ltd', german).waitFor();
    await german.goto(`${data.url}/${data.slug}/portal?lang=de`);
    await heading('Bei Acme Ltd anmelden', german).waitFor();
    ok(await german.locator('html').getAttribute('lang') === 'de', 'an address may ask for one');
});

await finish();
