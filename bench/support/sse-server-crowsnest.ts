import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BenchData, EVENT_NAME, type EventServer } from './sse-event.ts';

type Dist<Module> = Promise<Module>;
const built = (file: string): string => new URL(`../../dist/${file}.js`, import.meta.url).href;
/** States of this many things are published in turn. */
const ENTITIES = 50;

/** The whole service, as `serve.ts` makes it: its clients go through every guard and get the snapshot from its store. */
export async function start(): Promise<EventServer> {
  const { createApp } = await (import(built('app.setup')) as Dist<typeof import('../../src/app.setup.ts')>);
  const { loadAppConfig } = await (import(built('app.config')) as Dist<typeof import('../../src/app.config.ts')>);
  const { Lifecycle } = await (import(built('lifecycle/index')) as Dist<typeof import('../../src/lifecycle/index.ts')>);
  const { HttpServer } = await (import(built('http/index')) as Dist<typeof import('../../src/http/index.ts')>);
  const { SseBroadcaster } = await (import(built('realtime/index')) as Dist<
    typeof import('../../src/realtime/index.ts')
  >);
  const { SystemClock } = await (import(built('runtime/clock')) as Dist<typeof import('../../src/runtime/clock.ts')>);
  const { CryptoRandom } = await (import(built('runtime/random')) as Dist<
    typeof import('../../src/runtime/random.ts')
  >);

  const dataDir = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }));
  const environment = {
    PORT: '0',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'error',
    CROWSNEST_STREAMS_PER_PRINCIPAL: '100000',
    // Stuck clients are to stay.
    CROWSNEST_STREAM_STALL_TIMEOUT: '1h',
  };
  const random = new CryptoRandom();
  const options = { config: loadAppConfig(environment, random), clock: new SystemClock(), random };
  const logger = {
    log: () => undefined,
    warn: () => undefined,
    error: (line: unknown) => void process.stderr.write(`${JSON.stringify(line)}\n`),
  };
  const app = await createApp(options, logger);
  const lifecycle = app.get(Lifecycle);
  await lifecycle.start();
  const broadcaster = app.get(SseBroadcaster);
  return {
    url: `${app.get(HttpServer).url}/api/v1/streams/clusters`,
    joined: 'event: snapshot',
    publish(data: BenchData): void {
      const entity = `cluster-${data.serial % ENTITIES}`;
      broadcaster.publish('clusters', 'default', { eventType: EVENT_NAME, entity, version: data.serial, data });
    },
    async stop(): Promise<void> {
      await lifecycle.stop();
    },
  };
}
