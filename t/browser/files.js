import { becomes, data, finish, is, look, newContext, ok, shot, signIn, step } from './lib/page.js';

const page = await (await newContext({ expected: [404] })).newPage();
const rows = page.locator('.file-row');
const heading = (name) => page.getByRole('heading', { name, level: 1 });
const titles = () => rows.locator('.row-title').allTextContents();
const settled = async () => { await page.waitForTimeout(350); await page.locator('.rows:not([aria-busy=true])').waitFor(); };

await signIn(page, 'mike@example.com');
await page.getByText('24 files').waitFor();

await step('the newest come first, ten on a page', async () => {
    is((await titles()).length, 10, 'ten rows');
    ok((await titles())[0].startsWith('Averyvery'), 'the newest is the first');
    ok(await rows.getByText('file-23.pdf').isVisible(), 'with its file name');
    await look(page, 'files');
});

await step('pages, back and reload', async () => {
    await page.getByRole('link', { name: 'Next' }).click();
    await page.getByText('Page 2 of 3').waitFor();
    await settled();
    await page.reload();
    await page.getByText('Page 2 of 3').waitFor();
    await page.goBack();
    await page.getByText('Page 1 of 3').waitFor();
});

await step('sorting by downloads, filtering by status, searching', async () => {
    await page.getByLabel('Sort by').selectOption('Oldest first');
    await settled();
    await becomes(async () => (await titles())[0], 'File 1', 'the oldest is the first');
    await page.getByLabel('Status').selectOption('Active');
    await page.getByText('5 files', { exact: true }).waitFor();
    await page.getByLabel('Status').selectOption('All');
    await page.getByLabel('Search files').fill('file-7');
    await page.getByText('1 file', { exact: true }).waitFor();
    await becomes(async () => (await titles())[0], 'File 7', 'it is found by its file name');
    await page.reload();
    await page.getByText('1 file', { exact: true }).waitFor();
    await becomes(() => page.getByLabel('Search files').inputValue(), 'file-7', 'a reload keeps the search');
    await page.getByLabel('Search files').fill('nowhere');
    await heading('Files').waitFor();
    await page.getByRole('heading', { name: 'Nothing fits' }).waitFor();
    await look(page, 'files-none');
    await page.getByRole('button', { name: 'Show all files' }).click();
    await page.getByText('24 files').waitFor();
});

await step('a file opens its downloads and payments', async () => {
    await page.getByLabel('Search files').fill('file-1.pdf');
    await page.getByText('1 file', { exact: true }).waitFor();
    await rows.first().click();
    await heading('File 1').waitFor();
    await becomes(() => page.evaluate(() => document.activeElement.tagName), 'H1', 'the focus is on its title');
    await becomes(() => page.title(), 'File 1 · Acme Ltd', 'so is the title of the window');
    await page.getByText('Download 2').waitFor();
    await page.getByText('$25.00').waitFor();
    ok((await page.getByRole('link', { name: 'Open the file' }).getAttribute('href') ?? '').startsWith('https://files.example.com/short1-'), 'it opens at the workspace\'s address');
    await look(page, 'file');
    await page.reload();
    await heading('File 1').waitFor();
    await page.goBack();
    await page.getByText('1 file', { exact: true }).waitFor();
});

await step('a file that is not there says so', async () => {
    await page.goto(`${data.url}/${data.slug}/portal#/files/00000000-0000-4000-8000-000000000000`);
    await heading('This file is no longer there').waitFor();
    await page.getByRole('link', { name: 'All files' }).click();
    await heading('Files').waitFor();
});

await step('payments', async () => {
    await page.getByRole('link', { name: 'Payments' }).click();
    await heading('Payments').waitFor();
    await page.getByText('Mike Smith').last().waitFor();
    await look(page, 'payments');
    await page.getByRole('link', { name: 'Show the file' }).click();
    await heading('File 1').waitFor();
});

await step('with the keyboard alone', async () => {
    await page.goto(`${data.url}/${data.slug}/portal`);
    await page.reload();
    await page.getByText('24 files').waitFor();
    await page.keyboard.press('Tab');
    await becomes(() => page.evaluate(() => document.activeElement.textContent), 'Skip to content', 'the first stop skips to the content');
    await page.keyboard.press('Enter');
    await becomes(() => page.evaluate(() => document.activeElement.id), 'content', 'and does');
    await rows.locator('.row-title').first().focus();
    await page.keyboard.press('Enter');
    await heading(/^Avery/).waitFor();
});

await step('in German', async () => {
    await page.getByRole('button', { name: 'Deutsch' }).click();
    await page.getByRole('link', { name: 'Alle Dateien' }).click();
    await page.getByText('24 Dateien').waitFor();
    await becomes(() => page.evaluate(() => document.documentElement.lang), 'de', 'the page says so');
    await shot(page, 'files-german');
    await page.getByRole('button', { name: 'English' }).click();
});

await step('nothing yet', async () => {
    const other = await (await newContext()).newPage();
    await signIn(other, 'new@example.com');
    await other.getByRole('heading', { name: 'No files yet' }).waitFor();
    await look(other, 'files-empty');
    await other.getByRole('link', { name: 'Payments' }).click();
    await other.getByRole('heading', { name: 'No payments yet' }).waitFor();
});

await finish();
