// Puts a .br and a .gz beside each built file that gets smaller by it, for the server to send.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** A file that is not worth a second form, in bytes. */
const SMALL = 1000;
const dist = fileURLToPath(new URL('../../ui-dist/', import.meta.url));

function compress(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) compress(path);
    else if (/\.(js|css|html|svg|json|txt)$/.test(name) && statSync(path).size > SMALL) {
      const bytes = readFileSync(path);
      const text = { [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT };
      writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: text }));
      writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
    }
  }
}

compress(dist);
