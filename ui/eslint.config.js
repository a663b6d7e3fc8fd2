import svelte from 'eslint-plugin-svelte';
import ts from 'typescript-eslint';

export default ts.config(
  { ignores: ['src/lib/api/schema.ts', 'src/i18n/messages.ts', 'public/'] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser } },
    rules: {
      'no-undef': 'off',
      // Links are resolved by src/lib/router, which is not SvelteKit's.
      'svelte/no-navigation-without-resolve': 'off',
      // Sets and queries in state are replaced as a whole, never changed.
      'svelte/prefer-svelte-reactivity': 'off',
      'svelte/no-at-html-tags': 'error',
      'svelte/require-each-key': 'error',
    },
  },
  {
    rules: {
      eqeqeq: 'error',
      'no-restricted-globals': ['error', 'event', 'name'],
    },
  },
  {
    // Pages and parts speak to the server through src/lib only.
    files: ['src/routes/**', 'src/shell/**', 'src/kit/**'],
    rules: { 'no-restricted-globals': ['error', 'fetch', 'event', 'name'] },
  },
);
