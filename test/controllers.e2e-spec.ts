import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { Service } from './support/service.js';
import { type SharedStore, openSharedStore } from './support/shared-store.js';

interface Controller {
  readonly name: string;
  readonly state: string;
  readonly leader: { readonly holder: string; readonly isThisReplica: boolean; readonly epoch: number } | null;
  readonly lastOutcome: string | null;
  readonly lastRunAt: string | null;
  readonly nextRunAt: string | null;
  readonly pausedBy: string | null;
}

interface Controllers {
  readonly items: Controller[];
}

const listOf = (api: ApiClient): Promise<Controllers> => api.must<Controllers>('GET', '/controllers');

describe('controllers in one process', () => {
  const services: Service[] = [];
  let dataDir: string;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-controllers-'));
  });
  afterAll(async () => {
    for (const service of services) await service.dispose();
    await rm(dataDir, { recursive: true, force: true });
  });
  const start = async (): Promise<Service> => {
    const service = await Service.start({ dataDir });
    services.push(service);
    return service;
  };

  it('are led at once, also after a kill, run when asked for, and stay paused over a restart', async () => {
    const first = await start();
    const api = new ApiClient(first.url);
    const { items } = await eventually(
      () => listOf(api),
      (list) => list.items.every(({ leader }) => leader !== null),
      5_000,
    );
    expect(items.length).toBeGreaterThan(0);
    for (const { name } of items) {
      const after = await api.must<Controller>('POST', `/controllers/${name}/reconcile`);
      expect([name, after]).toEqual([name, expect.objectContaining({ lastOutcome: 'success', state: 'waiting' })]);
    }
    const name = items[0]?.name ?? '';
    await api.must('POST', `/controllers/${name}/pause`);
    const refused = await api.call('POST', `/controllers/${name}/reconcile`);
    expect([refused.status, refused.body['code']]).toEqual([409, 'controller.paused']);
    expect(await first.end('SIGTERM')).toBe(0);

    const second = await start();
    const again = new ApiClient(second.url);
    const show = (): Promise<Controller> => again.must<Controller>('GET', `/controllers/${name}`);
    expect(await show()).toMatchObject({ state: 'paused', pausedBy: 'local', nextRunAt: null });
    expect(await again.must('POST', `/controllers/${name}/resume`)).toMatchObject({ pausedBy: null });
    const run = await again.must<Controller>('POST', `/controllers/${name}/reconcile`);
    expect(run).toMatchObject({ lastOutcome: 'success', leader: { isThisReplica: true, epoch: 2 } });
    const metrics = await again.must<string>('GET', '/metrics');
    const [, rounds] =
      new RegExp(`controller_reconcile_total\\{controller="${name}",result="success"\\} (\\d+)`).exec(metrics) ?? [];
    expect(Number(rounds)).toBeGreaterThan(0);
    expect(metrics).toContain(`crowsnest_controller_reconcile_errors_total{controller="${name}"} 0`);
    expect(metrics).toContain(`crowsnest_controller_running{controller="${name}"} 1`);
    expect((await again.call('GET', '/controllers/none')).status).toBe(404);
    await second.end('SIGKILL');

    const third = await start();
    const last = await eventually(
      () => listOf(new ApiClient(third.url)),
      (list) => list.items.every(({ leader }) => leader?.isThisReplica === true),
      3_000,
    );
    expect(last.items[0]?.leader?.epoch).toBe(3);
  }, 60_000);
});

describe('controllers of two replicas', () => {
  let store: SharedStore;
  const services: Service[] = [];
  const environment: Record<string, string> = { CROWSNEST_SEALING_KEY: randomBytes(32).toString('base64') };

  beforeAll(async () => {
    store = await openSharedStore('controllers');
    environment['MONGODB_URI'] = store.uri;
  });
  afterEach(async () => {
    for (const service of services.splice(0)) await service.dispose();
  });
  afterAll(() => store.close());

  const start = async (): Promise<{ service: Service; api: ApiClient }> => {
    const service = await Service.start({ environment });
    services.push(service);
    return { service, api: new ApiClient(service.url) };
  };
  const leads = ({ items }: Controllers): boolean => items.every(({ leader }) => leader?.isThisReplica === true);

  it('have one leader, answer on both, and are taken over in less than 20 s after kill -9', async () => {
    const first = await start();
    await eventually(() => listOf(first.api), leads, 10_000);
    const second = await start();
    const { items } = await listOf(second.api);
    expect(items.map(({ leader }) => leader?.isThisReplica)).toEqual(items.map(() => false));
    const name = items[0]?.name ?? '';
    const asked = await second.api.must<Controller>('POST', `/controllers/${name}/reconcile`);
    expect(asked).toMatchObject({ lastOutcome: 'success', leader: { isThisReplica: false } });
    await second.api.must('POST', `/controllers/${name}/pause`);
    expect(await first.api.must('GET', `/controllers/${name}`)).toMatchObject({ state: 'paused' });

    const begun = performance.now();
    await first.service.end('SIGKILL');
    const after = await eventually(() => listOf(second.api), leads, 30_000);
    expect(performance.now() - begun).toBeLessThan(20_000);
    const before = new Map(items.map((item) => [item.name, item.leader?.epoch ?? 0]));
    for (const item of after.items) expect(item.leader?.epoch).toBe((before.get(item.name) ?? 0) + 1);
    expect(after.items[0]).toMatchObject({ name, state: 'paused' });
    await second.api.must('POST', `/controllers/${name}/resume`);
    expect(await second.api.must('POST', `/controllers/${name}/reconcile`)).toMatchObject({ lastOutcome: 'success' });
  }, 90_000);

  it('are handed over within a few seconds by a replica that stops', async () => {
    const first = await start();
    await eventually(() => listOf(first.api), leads, 30_000);
    const second = await start();
    const stopped = first.service.end('SIGTERM');
    expect(await stopped).toBe(0);
    const begun = performance.now();
    await eventually(() => listOf(second.api), leads, 20_000);
    expect(performance.now() - begun).toBeLessThan(5_000);
  }, 90_000);
});
