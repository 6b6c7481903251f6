import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { loadAppConfig, slice } from './app.config.js';
import { createApp } from './app.setup.js';
import { greeting } from './greeting.js';
import { ConfigError } from './config/index.js';
import { HttpServer } from './http/index.js';
import { Lifecycle } from './lifecycle/index.js';
import { type LoggingConfig, ServiceLogger, formatJson, formatText, loggingConfig } from './logging/index.js';
import { SystemClock } from './runtime/clock.js';
import { CryptoRandom } from './runtime/random.js';
import { isStop } from './runtime/stop-reason.js';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Resolves at the first signal; the second one ends the process at once, which Nest's own handlers would ignore. */
function firstSignal(): Promise<string> {
  return new Promise((resolve) => {
    let count = 0;
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        count += 1;
        if (count > 1) process.exit(130);
        resolve(signal);
      });
    }
  });
}

async function main(): Promise<number> {
  const signalled = firstSignal();
  const clock = new SystemClock();
  const random = new CryptoRandom();
  const config = loadAppConfig(process.env, random);
  const isTerminal = process.stdout.isTTY;
  const logger = new ServiceLogger({
    level: slice<LoggingConfig>(config, loggingConfig).level,
    format: isTerminal ? formatText : formatJson,
    write: (text) => process.stdout.write(text),
    clock,
  });
  const app = await createApp({ config, clock, random }, logger);
  const log = new Logger('Main');
  const lifecycle = app.get(Lifecycle);

  const started = lifecycle.start().then(
    () => log.log({ message: 'ready', ...greeting(app.get(HttpServer).url) }),
    (error: unknown) => (isStop(error) ? undefined : error),
  );
  const failure = await Promise.race([started, signalled.then(() => undefined)]);
  if (failure === undefined) log.log({ message: 'stopping', signal: await signalled });
  else log.error({ message: 'the start failed', error: failure });

  const unstopped = await lifecycle.stop();
  await app.close();
  log.log({ message: 'stopped', unstopped });
  return failure === undefined && unstopped.length === 0 ? 0 : 1;
}

try {
  process.exit(await main());
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(78);
}
