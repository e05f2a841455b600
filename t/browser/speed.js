import { data, finish, newContext, ok, step } from './lib/page.js';

const most = 500;  // ms
const page = await (await newContext()).newPage();
const start = `${data.url}/${data.slug}/portal`;

// The best of five: what else the machine does is not the page's.
async function largestPaint(address) {
    const times = [];
    for (let run = 0; run < 5; ++run) {
        await page.goto('about:blank');
        await page.goto(address, { waitUntil: 'load' });
        times.push(await page.evaluate(() => new Promise((resolve) => {
            let last = 0;
            new PerformanceObserver((list) => { last = list.getEntries().at(-1).startTime; })
                .observe({ type: 'largest-contentful-paint', buffered: true });
            setTimeout(() => resolve(last), 700);
        })));
    }
    return Math.round(Math.min(...times));
}

await (await page.context().newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: 4 });
for (const [name, address] of [['sign-in', start], ['files', `${start}?customer_session_token=${data.link}`]]) {
    await step(`${name} is measured`, async () => {
        if (name === 'files') {
            await page.goto(address);
            await page.getByRole('heading', { name: 'Files', level: 1 }).waitFor();
        }
        const time = await largestPaint(start);
        ok(time > 0 && time < most, `${name}: largest contentful paint after ${time} ms, below ${most}`);
    });
}
await finish();
