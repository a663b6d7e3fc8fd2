// Builds into a folder of its own and compares that with ui-dist: the same sources give the same bytes. How small
// a compressed form gets depends on Node's version; each has to hold its file.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

const kept = fileURLToPath(new URL('../../ui-dist/', import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), 'ui-dist-'));

function files(folder, below = '') {
  return readdirSync(join(folder, below)).flatMap((name) => {
    const path = join(below, name);
    return statSync(join(folder, path)).isDirectory() ? files(folder, path) : [path];
  });
}

/** Whether a compressed file is its file, compressed. */
function holds(path) {
  const unpack = path.endsWith('.br') ? brotliDecompressSync : gunzipSync;
  return unpack(readFileSync(join(kept, path))).equals(readFileSync(join(kept, path.slice(0, -3))));
}

try {
  const env = { ...process.env, UI_DIST: fresh };
  execFileSync('npx', ['vite', 'build', '--logLevel', 'warn'], {
    env,
    stdio: 'inherit',
    cwd: new URL('..', import.meta.url),
  });
  const isCompressed = (path) => /\.(br|gz)$/.test(path);
  const [old, built] = [files(kept).filter((path) => !isCompressed(path)), files(fresh)];
  const differing = [
    ...old.filter((path) => !built.includes(path)).map((path) => `${path} is not built any more`),
    ...built.filter((path) => !old.includes(path)).map((path) => `${path} is new`),
    ...built
      .filter(
        (path) =>
          old.includes(path) && !readFileSync(join(kept, path)).equals(readFileSync(join(fresh, path))),
      )
      .map((path) => `${path} differs`),
    ...files(kept)
      .filter(isCompressed)
      .filter((path) => !holds(path))
      .map((path) => `${path} does not hold its file`),
  ];
  for (const line of differing) console.error(line);
  if (differing.length > 0) {
    console.error('ui-dist is not what the sources give: npm run build');
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true });
}
