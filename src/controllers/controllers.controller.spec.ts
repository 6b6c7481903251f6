import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { ScriptedReconciler } from '../../test/support/controllers-room.js';
import { ApiClient } from '../../test/support/api-client.js';
import { type TestDatabase, openTestDatabase } from '../../test/support/test-database.js';
import { loadAppConfig } from '../app.config.js';
import { createApp } from '../app.setup.js';
import { HttpServer } from '../http/index.js';
import { Lifecycle } from '../lifecycle/index.js';
import { SystemClock } from '../runtime/clock.js';
import { CryptoRandom } from '../runtime/random.js';
import { ControllerManager } from './controller-manager.js';

const KEYS = {
  viewer: 'viewer-secret-0000',
  operator: 'operator-secret-00',
  admin: 'admin-secret-00000',
  tenant: 'tenant-secret-0000',
};

describe('the routes of controllers', () => {
  let database: TestDatabase;
  let app: INestApplication;
  const clients = {} as Record<keyof typeof KEYS, ApiClient>;
  const slow = Promise.withResolvers<{ processed: number; changed: number }>();

  beforeAll(async () => {
    database = await openTestDatabase();
    const environment = {
      PORT: '0',
      MONGODB_URI: database.uri,
      CROWSNEST_SEALING_KEY: randomBytes(32).toString('base64'),
      CROWSNEST_CONTROLLER_RECONCILE_WAIT: '2s',
      CROWSNEST_API_KEYS: [
        `viewer:viewer:${KEYS.viewer}`,
        `operator:operator:${KEYS.operator}`,
        `admin:admin:${KEYS.admin}`,
        `tenant:admin@acme:${KEYS.tenant}`,
      ].join(),
    };
    const [clock, random] = [new SystemClock(), new CryptoRandom()];
    app = await createApp(
      { config: loadAppConfig(environment, random), clock, random },
      { log() {}, warn() {}, error() {} },
    );
    const lazy = { reconcileOnStart: false, periodMs: 3_600_000 };
    const manager = app.get(ControllerManager);
    manager.register(
      new ScriptedReconciler('test-good', () => ({ processed: 3, changed: 1, detail: { lag: 4 } }), lazy),
    );
    manager.register(
      new ScriptedReconciler(
        'test-bad',
        () => {
          throw new Error('told to admins');
        },
        lazy,
      ),
    );
    manager.register(new ScriptedReconciler('test-slow', () => slow.promise, { ...lazy, timeoutMs: 60_000 }));
    await app.get(Lifecycle).start();
    const { url } = app.get(HttpServer);
    for (const [name, key] of Object.entries(KEYS)) clients[name as keyof typeof KEYS] = new ApiClient(url, key);
  });
  afterAll(async () => {
    slow.resolve({ processed: 0, changed: 0 });
    expect(await app.get(Lifecycle).stop()).toEqual([]);
    await app.close();
    await database.close();
  });

  it('list and show to everybody who may read', async () => {
    const { items } = await clients.viewer.must<{ items: Array<{ name: string }> }>('GET', '/controllers');
    const names = items.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['test-bad', 'test-good', 'test-slow']));
    expect(names).toEqual(names.toSorted());
    expect(await clients.tenant.must('GET', '/controllers/test-good')).toMatchObject({
      name: 'test-good',
      detail: null,
    });
    const { status, headers, body } = await clients.viewer.call('GET', '/controllers/none');
    expect([status, headers.get('content-type')]).toEqual([404, expect.stringContaining('application/problem+json')]);
    expect(body).toMatchObject({ code: 'resource.not_found', detail: 'there is no such controller' });
  });

  it('run a round for operators, who see how it went', async () => {
    const { status, body } = await clients.operator.call('POST', '/controllers/test-good/reconcile');
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({ lastOutcome: 'success', processed: 3, changed: 1, detail: { lag: 4 } }),
    ]);
    const failed = await clients.operator.must('POST', '/controllers/test-bad/reconcile');
    expect(failed).toMatchObject({ lastOutcome: 'failure', lastError: null });
    const shown = await clients.admin.must('GET', '/controllers/test-bad');
    expect(shown).toMatchObject({ lastOutcome: 'failure', lastError: 'told to admins' });
  });

  it('answer 202 with the place to look at when a round takes longer', async () => {
    const { status, headers, body } = await clients.operator.call('POST', '/controllers/test-slow/reconcile');
    expect([status, headers.get('location')]).toEqual([202, '/api/v1/controllers/test-slow']);
    expect(body).toMatchObject({ state: 'running', lastOutcome: null });
  });

  it('let admins pause and resume', async () => {
    expect(await clients.admin.must('POST', '/controllers/test-good/pause')).toMatchObject({
      state: 'paused',
      pausedBy: 'admin',
      nextRunAt: null,
    });
    const refused = await clients.operator.call('POST', '/controllers/test-good/reconcile');
    expect([refused.status, refused.body['code']]).toEqual([409, 'controller.paused']);
    expect(await clients.admin.must('POST', '/controllers/test-good/resume')).toMatchObject({ pausedBy: null });
    await clients.operator.must('POST', '/controllers/test-good/reconcile');
  });

  it.each([
    ['viewer', 'reconcile'],
    ['operator', 'pause'],
    ['operator', 'resume'],
    ['tenant', 'reconcile'],
    ['tenant', 'pause'],
    ['tenant', 'resume'],
  ] as const)('refuse the %s to %s', async (who, what) => {
    const before = await clients.admin.must('GET', '/controllers/test-good');
    const { status, body } = await clients[who].call('POST', `/controllers/test-good/${what}`);
    expect([status, body['code']]).toEqual([403, 'auth.forbidden']);
    expect(await clients.admin.must('GET', '/controllers/test-good')).toEqual(before);
  });

  it('stand in the metrics of the service', async () => {
    const text = await clients.viewer.must<string>('GET', '/metrics');
    expect(text).toMatch(/crowsnest_controller_items_processed_total\{controller="test-good"\} [36]\n/);
    expect(text).toContain('crowsnest_controller_reconcile_errors_total{controller="test-good"} 0');
    expect(text).toContain('crowsnest_controller_overdue{controller="test-good"} 0');
  });
});
