import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { WorkerOptions } from './worker-messages.js';

/**
 * Resolves `./x.js` to `./x.ts` where only the source exists. Node 24 runs erasable TypeScript, but takes import specifiers literally.
 */
const RESOLVE_TYPESCRIPT = `
import { registerHooks } from 'node:module';
registerHooks({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      if (error.code !== 'ERR_MODULE_NOT_FOUND' || !/^\\.{1,2}\\/.*\\.js$/.test(specifier)) throw error;
      return next(specifier.slice(0, -3) + '.ts', context);
    }
  },
});`;

/** Starts the built worker, or from a source tree (tests) the TypeScript one. */
export function startWorker(options: WorkerOptions): Worker {
  const built = new URL('./worker.js', import.meta.url);
  if (existsSync(fileURLToPath(built))) return new Worker(built, { name: 'embedded-store', workerData: options });
  const hook = `data:text/javascript,${encodeURIComponent(RESOLVE_TYPESCRIPT)}`;
  return new Worker(new URL('./worker.ts', import.meta.url), {
    name: 'embedded-store',
    workerData: options,
    execArgv: ['--disable-warning=ExperimentalWarning', '--import', hook],
  });
}
