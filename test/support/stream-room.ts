import type { AddressInfo } from 'node:net';
import { Global, type INestApplication, Module } from '@nestjs/common';
import { getConnectionToken } from '@nestjs/mongoose';
import { Test } from '@nestjs/testing';
import type { Connection } from 'mongoose';
import request from 'supertest';
import type { App } from 'supertest/types.js';
import { AuthModule, authConfig } from '../../src/auth/index.js';
import { ConfigModule, loadConfig } from '../../src/config/index.js';
import { bodyParsers } from '../../src/http/body-parsers.js';
import { ProblemFilter } from '../../src/http/problem.filter.js';
import { validationPipe } from '../../src/http/validation.pipe.js';
import { LeaderElection } from '../../src/leader-election/index.js';
import { LifecycleModule, lifecycleConfig } from '../../src/lifecycle/index.js';
import { MetricsModule } from '../../src/metrics/index.js';
import { RealtimeModule, SseBroadcaster, realtimeConfig } from '../../src/realtime/index.js';
import { CLOCK, type Clock, SystemClock } from '../../src/runtime/clock.js';
import { CryptoRandom, RANDOM } from '../../src/runtime/random.js';
import { alwaysLeader } from '../../src/realtime/bus/leadership.js';
import { FakeStreamTopic } from './fake-stream-topic.js';

interface Ambient {
  readonly connection: Connection;
  readonly clock?: Clock;
}

/** Of a process that is alone. */
const soleElector = { name: 'elector', ...alwaysLeader, start: () => Promise.resolve(), stop: () => Promise.resolve() };

/** The realtime room behind HTTP, without the rest of the service; `topic` stands behind the keys `workflow:<id>`. */
export async function openStreamRoom(environment: Record<string, string>, { connection, clock }: Ambient) {
  const ambient = [
    { provide: CLOCK, useValue: clock ?? new SystemClock() },
    { provide: RANDOM, useClass: CryptoRandom },
    { provide: getConnectionToken(), useValue: connection },
    { provide: LeaderElection, useValue: { elector: () => soleElector } },
  ];

  @Global()
  @Module({ providers: ambient, exports: ambient })
  class AmbientModule {}

  const config = loadConfig([realtimeConfig, authConfig, lifecycleConfig], environment, () => '');
  const testing = await Test.createTestingModule({
    imports: [ConfigModule.forRoot(config), AmbientModule, LifecycleModule, MetricsModule, AuthModule, RealtimeModule],
  }).compile();
  const app = testing.createNestApplication<INestApplication<App>>({ logger: false, bodyParser: false });
  app
    .use(...bodyParsers())
    .useGlobalPipes(validationPipe())
    .useGlobalFilters(new ProblemFilter());
  await app.listen(0, '127.0.0.1');
  const broadcaster = app.get(SseBroadcaster);
  const topic = new FakeStreamTopic(broadcaster);
  const { port } = (app.getHttpServer() as unknown as { address(): AddressInfo }).address();
  return { app, broadcaster, topic, server: request(app.getHttpServer()), port };
}
