import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SchedulerRegistry } from '@nestjs/schedule';
import { Types } from 'mongoose';
import { settle } from '../../../test/support/fake-clock.js';
import { type JobRoom, PLATFORM_AGENT, hexOf, openJobRoom } from '../../../test/support/job-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';
import type { Principal } from '../../auth/principal.js';
import { PeriodicTasks } from '../../lifecycle/index.js';
import type { StreamItem, StreamTopic } from '../../realtime/index.js';
import { JobStreamTopics } from './job-stream-topics.js';
import { RemovedJobStreams } from './removed-job-streams.js';

const ACME: Principal = { kind: 'user', id: 'bob', role: 'viewer', tenantId: 'acme' };

let room: JobRoom;
let removed: RemovedJobStreams;
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
  removed = new RemovedJobStreams(
    room.jobs,
    broadcaster,
    room.bus,
    new PeriodicTasks(new SchedulerRegistry(), room.clock),
  );
  removed.register();
  new JobStreamTopics(room.jobs, room.tenants.service, broadcaster, room.bus, removed).register();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.clear();
  published.length = 0;
  retired.length = 0;
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

  describe('of jobs', () => {
    afterEach(() => removed.stop());

    /** As the broadcaster does when the first client of a tenant comes. */
    const watch = async (id: string): Promise<void> => {
      topic('job').warmed?.(id);
      await topic('job').snapshot(ADMIN, id);
    };
    const minute = async (): Promise<void> => {
      await room.clock.advance(60_000);
      for (const deadline = performance.now() + 20_000; performance.now() < deadline; await settle(1)) {
        if (room.clock.nextTimerInMs === 60_000) return;
      }
      throw new Error('the look did not end');
    };
    const tombstone = (id: string, tenantId = 'default') => ({
      key: `job:${id}`,
      tenantId,
      item: { eventType: 'job_update', entity: `job:${id}`, data: { id, tenantId, deleted: true } },
    });

    it('that the database has removed are told so and end, at the next look, and are not looked for again', async () => {
      const [gone, kept, unwatched, left] = (await room.add({}, 4)).map(hexOf) as [string, string, string, string];
      for (const id of [gone, kept, left]) await watch(id);
      topic('job').warmed?.(gone);
      topic('job').cooled?.(left);
      await settle();
      published.length = 0;
      await removed.start();
      await minute();
      expect([published, retired]).toEqual([[], []]);
      const ids = [gone, unwatched, left].map((id) => new Types.ObjectId(id));
      await room.collection.documents.deleteMany({ _id: { $in: ids } });
      await minute();
      await minute();
      expect(published).toMatchObject([tombstone(gone)]);
      expect(published[0]?.item.version).toBeGreaterThan(1_000_000);
      expect(retired).toEqual([`job:${gone}`]);
      for (const id of [gone, gone, kept]) topic('job').cooled?.(id);
    });

    it('of a deleted tenant are told so and end at once', async () => {
      const tenant = await room.tenants.service.create(ADMIN, { name: 'acme' });
      const [job] = await room.add({ tenantId: 'acme' });
      const [other] = await room.add();
      for (const each of [job, other]) await watch(hexOf(each));
      await settle();
      published.length = 0;
      room.bus.publish('tenant.changed', { tenant, change: 'deleted' });
      await settle();
      expect(published).toMatchObject([tombstone(hexOf(job), 'acme')]);
      expect(retired).toContain(`job:${hexOf(job)}`);
      expect(retired).not.toContain(`job:${hexOf(other)}`);
      for (const each of [job, other]) topic('job').cooled?.(hexOf(each));
    });

    it('are looked for again when the database did not answer', async () => {
      const [job] = await room.add();
      await watch(hexOf(job));
      const existing = room.jobs.existing.bind(room.jobs);
      room.jobs.existing = () => Promise.reject(new Error('the database is away'));
      await room.collection.documents.deleteMany({});
      await removed.start();
      await minute();
      expect(retired).toEqual([]);
      room.jobs.existing = existing;
      await minute();
      expect(retired).toEqual([`job:${hexOf(job)}`]);
      topic('job').cooled?.(hexOf(job));
    });
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
