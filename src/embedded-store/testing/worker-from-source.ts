import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SOURCE = fileURLToPath(new URL('../../', import.meta.url));
/** Below `node_modules`, so that the worker finds its packages. */
const CACHE = join(SOURCE, '../node_modules/.cache/crowsnest/embedded-store');
/** The store imports from no other room. */
const ROOMS = ['embedded-store', 'runtime'];

/**
 * Makes JavaScript of the worker's source, once for each state of it, and tells where it is.
 *
 * Node could strip the types by itself, but does so by WebAssembly in each worker: V8 ends the whole process now and then
 * when threads that have WebAssembly come and go, as they do in tests (`Check failed: jit_page_->allocations_.erase`).
 */
export function workerFromSource(): URL {
  const files = ROOMS.flatMap((room) =>
    readdirSync(join(SOURCE, room), { recursive: true, encoding: 'utf8' }).map((file) => join(room, file)),
  )
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && !file.includes('testing'))
    .toSorted()
    .map((file) => ({ file, text: readFileSync(join(SOURCE, file), 'utf8') }));
  const hash = createHash('sha256');
  for (const { file, text } of files) hash.update(`${file}\0${text}\0`);
  const folder = join(CACHE, hash.digest('hex').slice(0, 16));
  if (!existsSync(folder)) build(files, folder);
  return pathToFileURL(join(folder, 'embedded-store/worker.js'));
}

function build(files: readonly { readonly file: string; readonly text: string }[], folder: string): void {
  const draft = `${folder}.${process.pid}`;
  for (const { file, text } of files) {
    const target = join(draft, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, stripTypeScriptTypes(text, { mode: 'transform' }));
  }
  try {
    renameSync(draft, folder);
  } catch (error) {
    // Another process was faster with the same.
    if (!existsSync(folder)) throw error;
    rmSync(draft, { recursive: true });
  }
}
