// What the scripts share: one Chromium, pages that note whatever should not happen, and the line to the test file.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const screens = process.env.PORTAL_SCREENS;
mkdirSync(screens, { recursive: true });

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

// What the test file has given.
export const data = await next();

export function ok(condition, name, why = '') {
    say({ ok: condition ? 1 : 0, name, why: String(why) });
}
export function is(got, wanted, name) {
    ok(got === wanted, name, `got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

// What the page shows a moment later at most: it draws, and moves the focus, after it has changed.
export async function becomes(read, wanted, name) {
    const end = Date.now() + 5000;
    let got = await read();
    while (got !== wanted && Date.now() < end) {
        await new Promise((done) => setTimeout(done, 20));
        got = await read();
    }
    is(got, wanted, name);
}

// Asks the test file.
export async function ask(verb, ...values) {
    say({ do: verb, with: values });
    const { answer, error } = await next();
    if (error) {
        throw new Error(error);
    }
    return answer;
}

// A step that fails ends the step only, and leaves a picture of every page.
export async function step(name, steps) {
    try {
        await steps();
        ok(true, name);
    } catch (error) {
        ok(false, name, error.stack ?? error);
        for (const page of browser.contexts().flatMap((context) => context.pages())) {
            await shot(page, `failed-${name.replaceAll(/\W+/g, '-')}`).catch(() => undefined);
        }
    }
}

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
const troubles = [];

// A browser of its own: its cookies are nobody else's. Options are Playwright's, and `expected`, status codes that the
// script causes on purpose and that Chromium therefore writes to its console.
export async function newContext({ expected = [], ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: 'en-US', ...options });
    context.setDefaultTimeout(15_000);
    context.on('console', (message) => {
        const failed = /the server responded with a status of (\d+)|net::ERR_INTERNET_DISCONNECTED/.exec(message.text());
        const meant = failed && (failed[1] === undefined || expected.includes(Number(failed[1])));
        if (['error', 'warning'].includes(message.type()) && !meant) {
            troubles.push(`console: ${message.text()}`);
        }
    });
    context.on('weberror', (error) => troubles.push(`script: ${error.error().stack}`));
    context.on('request', (request) => {
        const { origin, protocol } = new URL(request.url());
        if (protocol !== 'data:' && origin !== new URL(data.url).origin && origin !== data.embedder) {
            troubles.push(`asked another host: ${request.url()}`);
        }
    });
    await context.addInitScript(() => {
        addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
    });
    return context;
}

const rules = {
    all: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
    colours: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
};

// No violation of WCAG 2.2 A and AA or of axe's good practice; of `colours` alone where only they have changed.
export async function accessible(page, name, which = 'all') {
    if (!await page.evaluate(() => Boolean(globalThis.axe))) {
        await page.evaluate(axe);
    }
    const { violations } = await page.evaluate((runOnly) => globalThis.axe.run(document, {
        resultTypes: ['violations'], runOnly,
    }), rules[which]);
    ok(violations.length === 0, `${name}: nothing for axe`, violations.map(({ id, nodes }) => (
        `${id}: ${nodes.map((node) => `${node.target} ${node.any[0]?.message ?? node.failureSummary}`).join('\n  ')}`)).join('\n'));
}

// Nothing is wider than the window.
export async function fits(page, name) {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    ok(wide <= 0, `${name}: fits ${page.viewportSize().width} px`, `${wide} px too wide`);
}

export async function shot(page, name) {
    await page.screenshot({ path: `${screens}/${name}.png`, fullPage: false });
}

// The page hears of a changed theme with its next frame.
async function frame(page) {
    await page.evaluate(() => new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); }));
}

// A screen in both themes: seen by axe, kept as a picture.
export async function look(page, name) {
    for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await frame(page);
        await accessible(page, `${name}, ${colorScheme}`, colorScheme === 'light' ? 'all' : 'colours');
        await shot(page, `${name}-${colorScheme}`);
    }
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' });
    const size = page.viewportSize();
    await page.setViewportSize({ width: 320, height: 700 });
    await fits(page, name);
    await shot(page, `${name}-320`);
    await page.setViewportSize(size);
}

// What `path` brings about is heard of everywhere before the page has its answer.
export async function answerLast(page, path) {
    await page.route(path, async (route) => {
        const response = await route.fetch();
        await new Promise((done) => setTimeout(done, 500));
        await route.fulfill({ response });
    });
}

export async function signIn(page, email, slug = data.slug, count = 1) {
    await page.goto(`${data.url}/${slug}/portal`);
    await page.getByLabel('E-mail address').fill(email);
    await page.getByRole('button', { name: 'Send the code' }).click();
    const field = page.getByLabel('Code of six characters');
    await field.waitFor();
    await field.fill(await ask('code', email, count));
    await page.getByRole('heading', { name: 'Files', level: 1 }).waitFor();
}

// Ends the script: nothing may have gone wrong beside what it looked at.
export async function finish() {
    is(troubles.join('\n'), '', 'no console message, CSP report or request to another host');
    await browser.close();
    process.exit(0);
}
