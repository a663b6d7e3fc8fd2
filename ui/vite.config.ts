import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { numbers } from './tools/messages.js';

/** The registry that `npm run dev` and `npm run preview` pass requests on to. */
const registry = process.env.GANTRY_URL ?? 'https://127.0.0.1:8443';

const forward = { target: registry, secure: false };

/** What the server sends with the built files. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types svelte-trusted-html',
].join('; ');

/** A page's file is named for its folder. */
function nameOf(module: string, name: string): string {
  return /routes\/([\w-]+)\/Page\.svelte$/.exec(module)?.[1] ?? name;
}

export default defineConfig({
  base: '/ui/',
  plugins: [svelte(), numbers()],
  build: {
    outDir: process.env.UI_DIST ?? '../ui-dist',
    emptyOutDir: true,
    target: 'es2022',
    // Browsers that know light-dark(): what stands in for it breaks dark islands on light pages.
    cssTarget: ['chrome123', 'edge123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 200,
    rolldownOptions: {
      output: {
        // A page is one file; what many share is another, and what two share a small one of its own: the first view
        // brings nothing that it has no use for. What reads Markdown comes when there is some.
        codeSplitting: {
          groups: [
            { name: 'marked', test: /node_modules\/marked\// },
            // One file: its order says which layer wins.
            { name: 'core', test: /src\/(styles\/|(kit|shell)\/.*&type=style)/ },
            {
              name: 'core',
              minShareCount: 3,
              test: /src\/(kit|lib(?!\/markdown)|shell)\/|node_modules\/(?!marked\/)|i18n\/index/,
            },
          ],
        },
        chunkFileNames: (chunk) => `assets/${nameOf(chunk.facadeModuleId ?? '', chunk.name)}-[hash].js`,
      },
    },
  },
  server: { proxy: { '^/(api|c)/': forward } },
  preview: {
    proxy: { '^/(api|c)/': forward },
    headers: { 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
