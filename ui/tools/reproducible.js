// Builds into a folder of its own and compares that with ui-dist: the same sources give the same bytes.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const kept = fileURLToPath(new URL('../../ui-dist/', import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), 'ui-dist-'));

function files(folder, below = '') {
  return readdirSync(join(folder, below)).flatMap((name) => {
    const path = join(below, name);
    return statSync(join(folder, path)).isDirectory() ? files(folder, path) : [path];
  });
}

try {
  const env = { ...process.env, UI_DIST: fresh };
  execFileSync('npx', ['vite', 'build', '--logLevel', 'warn'], {
    env,
    stdio: 'inherit',
    cwd: new URL('..', import.meta.url),
  });
  const [old, built] = [files(kept), files(fresh)];
  const differing = [
    ...old.filter((path) => !built.includes(path)).map((path) => `${path} is not built any more`),
    ...built.filter((path) => !old.includes(path)).map((path) => `${path} is new`),
    ...built
      .filter(
        (path) =>
          old.includes(path) && !readFileSync(join(kept, path)).equals(readFileSync(join(fresh, path))),
      )
      .map((path) => `${path} differs`),
  ];
  for (const line of differing) console.error(line);
  if (differing.length > 0) {
    console.error('ui-dist is not what the sources give: npm run build');
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true });
}
