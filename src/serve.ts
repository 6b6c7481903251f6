import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { loadAppConfig, slice } from './app.config.js';
import { createApp } from './app.setup.js';
import { ConfigError, type Environment } from './config/index.js';
import { greeting } from './greeting.js';
import { HttpServer } from './http/index.js';
import { Lifecycle } from './lifecycle/index.js';
import { type LoggingConfig, ServiceLogger, formatJson, formatText, loggingConfig } from './logging/index.js';
import { SystemClock } from './runtime/clock.js';
import { CryptoRandom } from './runtime/random.js';

/** EX_CONFIG of sysexits.h. */
const WRONG_CONFIGURATION = 78;

/** Runs the service until a signal or a failure. Resolves, when all has stopped, with the exit code. */
export async function serve(environment: Environment, signalled: Promise<string>): Promise<number> {
  try {
    return await run(environment, signalled);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return WRONG_CONFIGURATION;
  }
}

async function run(environment: Environment, signalled: Promise<string>): Promise<number> {
  const clock = new SystemClock();
  const random = new CryptoRandom();
  const config = loadAppConfig(environment, random);
  const logger = new ServiceLogger({
    level: slice<LoggingConfig>(config, loggingConfig).level,
    format: process.stdout.isTTY ? formatText : formatJson,
    write: (text) => process.stdout.write(text),
    clock,
  });
  const app = await createApp({ config, clock, random }, logger);
  const log = new Logger('Main');
  const lifecycle = app.get(Lifecycle);
  process.on('uncaughtException', (error) => lifecycle.fail(error));

  void lifecycle.start().then(
    () => log.log({ message: 'ready', ...greeting(app.get(HttpServer).url) }),
    (error: unknown) => lifecycle.fail(error),
  );
  const failure = lifecycle.failure.then((error) => ({ error }));
  const end = await Promise.race([failure, signalled]);
  if (typeof end === 'string') log.log({ message: 'stopping', signal: end });
  else log.error({ message: 'stopping after a failure', error: end.error });

  const unstopped = await lifecycle.stop();
  await app.close();
  log.log({ message: 'stopped', unstopped });
  return typeof end === 'string' && unstopped.length === 0 ? 0 : 1;
}
