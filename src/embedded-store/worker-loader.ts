import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { WorkerOptions } from './worker-messages.js';

/** Starts the built worker, or in a source tree (tests) one made of the source. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const built = new URL('./worker.js', import.meta.url);
  const url = existsSync(fileURLToPath(built)) ? built : await fromSource();
  return new Worker(url, { name: 'embedded-store', workerData: options });
}

async function fromSource(): Promise<URL> {
  const { workerFromSource } = await import('./testing/worker-from-source.js');
  return workerFromSource();
}
