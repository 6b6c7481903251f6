import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { settle } from '../../test/support/fake-clock.js';
import { type JobRoom, PLATFORM_AGENT, hexOf, openJobRoom } from '../../test/support/job-room.js';
import { ADMIN } from '../../test/support/tenant-room.js';
import type { Principal } from '../auth/principal.js';
import type { StreamItem, StreamTopic } from '../realtime/index.js';
import { JobStreamTopics } from './job-stream-topics.js';

const ACME: Principal = { kind: 'user', id: 'bob', role: 'viewer', tenantId: 'acme' };

let room: JobRoom;
const topics = new Map<string, StreamTopic>();
const retired: string[] = [];
const published: Array<{ key: string; tenantId: string; item: StreamItem }> = [];

beforeAll(async () => {
  room = await openJobRoom();
  const broadcaster = {
    registerTopic: (topic: StreamTopic) => void topics.set(topic.prefix, topic),
    publish: (key: string, tenantId: string, item: StreamItem) => void published.push({ key, tenantId, item }),
    retire: (key: string) => void retired.push(key),
  };
  new JobStreamTopics(room.jobs, room.tenants.service, broadcaster, room.bus).register();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.clear();
  published.length = 0;
});

function topic(prefix: string): StreamTopic {
  const found = topics.get(prefix);
  if (!found) throw new Error(`there is no topic ${prefix}`);
  return found;
}

describe('the streams of jobs', () => {
  it('begin with the state and tell each change, without payload, to the job and to its tenant', async () => {
    const tenant = await room.tenants.service.create(ADMIN, { name: 'acme' });
    const [job] = await room.add({ tenantId: 'acme', payload: 'secret' });
    const id = hexOf(job);
    await topic('job').authorize(ACME, id);
    await topic('tenant').authorize(ACME, tenant.id);
    const item = { eventType: 'job_update', entity: `job:${id}`, version: 1, data: { id, state: 'queued' } };
    expect(await topic('job').snapshot(ACME, id)).toMatchObject([item]);
    expect(await topic('tenant').snapshot(ACME, tenant.id)).toMatchObject([item]);
    await settle();
    published.length = 0;
    await room.claim(PLATFORM_AGENT);
    await settle();
    const change = { tenantId: 'acme', item: { entity: `job:${id}`, version: 2, data: { state: 'claimed' } } };
    expect(published).toMatchObject([
      { key: `job:${id}`, ...change },
      { key: `tenant:${tenant.id}`, ...change },
    ]);
    expect(JSON.stringify(published)).not.toContain('secret');
  });

  it('of a tenant end when it is deleted', async () => {
    const tenant = await room.tenants.service.create(ADMIN, { name: 'acme' });
    await topic('tenant').authorize(ACME, tenant.id);
    room.bus.publish('tenant.changed', { tenant, change: 'updated' });
    await settle();
    expect(retired).toEqual([]);
    room.bus.publish('tenant.changed', { tenant, change: 'deleted' });
    await settle();
    expect(retired).toEqual([`tenant:${tenant.id}`]);
  });

  it('are not there for another tenant, nor for what is no id', async () => {
    const tenant = await room.tenants.service.create(ADMIN, { name: 'other' });
    const [job] = await room.add();
    const notFound = { code: 'resource.not_found' };
    await expect(topic('job').authorize(ACME, hexOf(job))).rejects.toMatchObject(notFound);
    await expect(topic('job').authorize(ADMIN, '$where')).rejects.toMatchObject(notFound);
    await expect(topic('tenant').authorize(ACME, tenant.id)).rejects.toMatchObject(notFound);
    const byId = { ...notFound, detail: expect.stringContaining('tenant:<id>') };
    await expect(topic('tenant').authorize(ADMIN, 'other')).rejects.toMatchObject(byId);
  });
});
