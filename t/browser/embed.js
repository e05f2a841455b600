import { ask, becomes, data, finish, newContext, ok, step } from './lib/page.js';

// Signs in by the frame in FILE.html, sees a row come by itself and saves something.
async function use(page, file, title) {
    const frame = page.frameLocator('iframe');
    await page.goto(`${data.embedder}/site/${file}.html`);
    if (file === 'code') {
        await becomes(() => frame.getByLabel('E-mail address').inputValue(), 'mike@example.com', 'the address is filled in');
        await frame.getByRole('button', { name: 'Send the code' }).click();
        await frame.getByLabel('Code of six characters').fill(await ask('code', 'mike@example.com', 1));
    }
    await frame.getByText('Mike Smith').waitFor();
    await page.waitForTimeout(300);
    await ask('file', title);
    await frame.getByText(title).waitFor();
    await frame.getByRole('link', { name: 'Billing' }).click();
    await frame.getByLabel('Country').selectOption('Germany');
    await frame.getByRole('button', { name: 'Save' }).click();
    await frame.getByText('Saved.').first().waitFor();
}

await step('a link in a frame, whose cookie belongs to that site alone', async () => {
    const context = await newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await use(page, 'link', 'News by link');
    const [cookie] = (await context.cookies()).filter(({ name }) => name.startsWith('__Host-portal_ws'));
    ok(cookie?.partitionKey?.includes('localhost'), 'the cookie is partitioned');
    await page.frames()[1].evaluate(() => { setTimeout(() => location.reload()); });
    await page.waitForTimeout(500);
    await page.frameLocator('iframe').getByRole('heading', { name: 'Billing details' }).waitFor();
});

for (const file of ['link', 'code']) {
    await step(`a ${file} where the browser drops the cookie without a word`, async () => {
        const context = await newContext({ ignoreHTTPSErrors: true, expected: [401] });
        await context.route('**/exchange', async (route) => {
            const response = await route.fetch();
            const { 'set-cookie': dropped, ...headers } = response.headers();
            await route.fulfill({ response, headers });
        });
        let bearers = 0;
        context.on('request', (request) => { bearers += Number(/customers\/me$/.test(request.url()) && 'authorization' in request.headers()); });
        await use(await context.newPage(), file, `News by ${file}, no cookie`);
        ok(bearers > 0, 'it goes on by bearer');
    });
}

await finish();
