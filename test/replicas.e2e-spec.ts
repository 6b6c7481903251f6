import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AgentProcess } from './support/agent-process.js';
import { ApiClient, eventually } from './support/api-client.js';
import { Service } from './support/service.js';
import { type SharedStore, openSharedStore } from './support/shared-store.js';

const JOBS_EACH = 100;
const AGENTS_EACH = 2;

interface Job {
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  readonly history: ReadonlyArray<{ readonly event: string; readonly state: string; readonly agentId: string | null }>;
}

interface Replica {
  readonly service: Service;
  readonly api: ApiClient;
  readonly agents: AgentProcess[];
}

const completionsOf = ({ agents }: Replica): string[] =>
  agents.flatMap(({ lines }) => lines.filter(({ message }) => message === 'completed').map(({ job }) => String(job)));

describe('two replicas on one store', () => {
  let store: SharedStore;
  let folder: string;
  let environment: Record<string, string>;
  const replicas: Replica[] = [];

  beforeAll(async () => {
    store = await openSharedStore('replicas');
    folder = await mkdtemp(join(tmpdir(), 'crowsnest-replicas-'));
    environment = {
      MONGODB_URI: store.uri,
      CROWSNEST_SEALING_KEY: randomBytes(32).toString('base64'),
      CROWSNEST_JOB_LEASE: '3s',
      CROWSNEST_JOB_RECOVERY_PERIOD: '1s',
      CROWSNEST_JOB_RETRY_DELAY: '200ms',
    };
    // One after the other: the first makes the indexes.
    for (const name of ['first', 'second']) {
      const service = await Service.start({ environment });
      const replica = { service, api: new ApiClient(service.url), agents: [] as AgentProcess[] };
      replicas.push(replica);
      const body = { pool: 'platform', maxUses: AGENTS_EACH };
      const { token } = await replica.api.must<{ token: string }>('POST', '/bootstrap-tokens', { body });
      for (let index = 0; index < AGENTS_EACH; index += 1) {
        const agent = `${name}-${index}`;
        const credentialFile = join(folder, agent);
        replica.agents.push(new AgentProcess({ url: service.url, token, name: agent, credentialFile, capacity: 4 }));
      }
    }
    const agents = replicas.flatMap((replica) => replica.agents);
    await Promise.all(agents.map((agent) => agent.waitFor(({ message }) => message === 'working')));
  }, 90_000);
  afterAll(async () => {
    for (const { agents } of replicas) await Promise.all(agents.map((agent) => agent.end('SIGKILL')));
    for (const { service } of replicas) await service.dispose();
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('end every job once though one of them is killed under it', async () => {
    const [first, second] = replicas;
    if (!first || !second) throw new Error('there are two');
    const jobs = Array.from({ length: JOBS_EACH }, (_, index) => ({
      type: 'sleep',
      payload: { ms: 50 + (index % 10) * 30 },
      pool: 'platform',
      maxRetries: 20,
    }));
    const added = await Promise.all(
      [first, second].map(({ api }) => api.must<{ items: Job[] }>('POST', '/jobs', { body: { jobs } })),
    );
    const ids = added.flatMap(({ items }) => items.map(({ id }) => id));
    expect(new Set(ids).size).toBe(2 * JOBS_EACH);
    await eventually(
      () => Promise.resolve(replicas.map((replica) => completionsOf(replica).length)),
      (counts) => counts.every((count) => count >= 5),
    );
    await first.service.end('SIGKILL');

    const stats = () => second.api.must<{ byState: Record<string, number> }>('GET', '/jobs/stats');
    await eventually(stats, ({ byState }) => byState['completed'] === ids.length, 90_000);
    const details = await Promise.all(ids.map((id) => second.api.must<Job>('GET', `/jobs/${id}`)));
    for (const { id, history } of details) {
      const ends = history.filter(({ event }) => !['enqueue', 'claim', 'start', 'release', 'due'].includes(event));
      expect([id, ends.map(({ event }) => event)]).toEqual([id, ['complete']]);
    }
    const accepted = replicas.flatMap(completionsOf);
    expect(new Set(accepted).size).toBe(accepted.length);
    // What the killed one's agents held was taken from them, and done by others.
    const retried = details.filter(({ attempts }) => attempts > 1);
    expect(retried.length).toBeGreaterThan(0);
    for (const { history } of retried) {
      const claims = history.filter(({ event }) => event === 'claim').map(({ agentId }) => agentId);
      expect(new Set(claims).size).toBeGreaterThan(1);
    }
  }, 150_000);
});
