// The page as files that never change under their name: PAGE/assets/NAME-HASH.{js,css}, each with what gzip and
// brotli make of it beside it, and PAGE/.vite/manifest.json, by which nginx finds them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import { defineConfig } from 'vite';

const kB = 1000;
const limits = { js: 60 * kB, css: 15 * kB };  // of all files of a kind together, gzipped

function compressed() {
    let directory;
    return {
        name: 'compressed',
        apply: 'build',
        configResolved(config) {
            directory = join(config.build.outDir, config.build.assetsDir);
        },
        closeBundle() {
            const sizes = { js: 0, css: 0 };
            for (const name of readdirSync(directory)) {
                const bytes = readFileSync(join(directory, name));
                const gzip = gzipSync(bytes, { level: 9 });
                const brotli = brotliCompressSync(bytes, {
                    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
                });
                writeFileSync(join(directory, `${name}.gz`), gzip);
                writeFileSync(join(directory, `${name}.br`), brotli);
                sizes[name.split('.').pop()] += gzip.length;
            }
            for (const [kind, limit] of Object.entries(limits)) {
                if (sizes[kind] > limit) {
                    throw new Error(`${kind}: ${sizes[kind]} bytes gzipped, more than ${limit}`);
                }
                console.log(`${kind}: ${sizes[kind]} of ${limit} bytes gzipped`);
            }
        },
    };
}

export default defineConfig({
    base: './',
    esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
    build: {
        target: 'es2022',
        outDir: process.env.PORTAL_PAGE ?? '../../build/page',
        emptyOutDir: true,
        manifest: true,
        modulePreload: { polyfill: false },
        assetsInlineLimit: 0,
        rollupOptions: { input: 'page/main.tsx' },
        reportCompressedSize: false,
    },
    plugins: [compressed()],
});
