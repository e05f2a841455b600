import { ask, data, finish, is, newContext, step } from './lib/page.js';

const asked = '/account/orders?page=2&all=1';
const heading = (page, name) => page.getByRole('heading', { name, level: 1 });
const newPage = async (options = {}) => (await newContext({ expected: [401, 409], ...options })).newPage();
const there = (page) => page.url().slice(data.url.length);

async function signIn(page, email, count) {
    await page.getByLabel('E-mail address').fill(email);
    await page.getByRole('button', { name: 'Send the code' }).click();
    const code = page.getByLabel('Code of six characters');
    await code.waitFor();
    await code.fill(await ask('code', email, count));
}

await step('signing in leads to the page that was asked for', async () => {
    const page = await newPage();
    await page.goto(`${data.url}/account/orders?page=2&all=1`);
    await heading(page, 'Sign in to Acme Ltd').waitFor();
    await signIn(page, 'mike@example.com', 1);
    await heading(page, 'Your orders').waitFor();
    is(there(page), asked, 'with its arguments');
    await page.reload();
    await heading(page, 'Your orders').waitFor();
    await page.goto(`${data.url}/acme/portal?return_to=%2Faccount%2Forders`);
    await heading(page, 'Files').waitFor();
});

await step('without scripts, too', async () => {
    const page = await newPage({ javaScriptEnabled: false });
    await page.goto(data.url + asked);
    await page.getByRole('link', { name: 'Deutsch' }).click();
    await page.getByRole('link', { name: 'English' }).click();
    await page.getByLabel('E-mail address').fill('mike@example.com');
    await page.getByRole('button', { name: 'Send the code' }).click();
    await page.getByLabel('Code of six characters').fill(await ask('code', 'mike@example.com', 2));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await heading(page, 'Your orders').waitFor();
    is(there(page), asked, 'with its arguments');
});

await step('through the choice of a workspace', async () => {
    const page = await newPage();
    await page.goto(`${data.url}/portal?return_to=%2Faccount%2Forders`);
    await signIn(page, 'both@example.com', 1);
    await heading(page, 'Where do you want to go?').waitFor();
    await page.getByRole('button', { name: 'Acme Ltd' }).click();
    await heading(page, 'Your orders').waitFor();
});

await step('by a link', async () => {
    const page = await newPage();
    await page.goto(`${data.url}/acme/portal?customer_session_token=${data.links.pop()}&return_to=%2Faccount%2Forders`);
    await heading(page, 'Your orders').waitFor();
});

await step('never to another site, even if the server said so', async () => {
    const evil = ['//evil.example/', '/\\evil.example/', '/\t/evil.example/', 'https://evil.example/', 'javascript:alert(1)'];
    for (const to of evil) {
        const page = await newPage();
        await page.route('**/acme/portal?**', async (route) => {
            const response = await route.fetch();
            const text = await response.text();
            is(text.split('"return_to":""').length, 2, `the server passes over ${JSON.stringify(to)}`);
            await route.fulfill({ response, body: text.replace('"return_to":""', () => `"return_to":${JSON.stringify(to)}`) });
        });
        await page.goto(`${data.url}/acme/portal?customer_session_token=${data.links.pop()}&return_to=${encodeURIComponent(to)}`);
        await heading(page, 'Files').waitFor();
    }
});

await finish();
