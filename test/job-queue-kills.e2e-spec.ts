import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AgentProcess } from './support/agent-process.js';
import { ApiClient, eventually } from './support/api-client.js';
import { Service } from './support/service.js';

/** 50 of them take four minutes. */
const KILLS = Number(process.env['TEST_KILLS'] ?? 8);
const AGENTS = 3;
const TERMINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'canceled', 'expired']);

interface Job {
  readonly id: string;
  readonly state: string;
  readonly idempotencyKey: string | null;
}

interface JobDetail extends Job {
  readonly attempts: number;
  readonly history: ReadonlyArray<{ readonly event: string; readonly state: string }>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Enqueues until told to stop; what it does not know to have been taken it asks for again under the same key. */
class Load {
  readonly acknowledged = new Map<string, string>();
  readonly cancelled = new Set<string>();
  isOver = false;
  private count = 0;

  constructor(private readonly api: ApiClient) {}

  async run(): Promise<void> {
    while (!this.isOver) {
      const jobs = Array.from({ length: 5 }, () => this.next());
      const { items } = await this.persist<{ items: Job[] }>('/jobs', { jobs });
      for (const { id, idempotencyKey } of items) this.acknowledged.set(String(idempotencyKey), id);
      const [first] = items;
      if (first && this.count % 10 === 0) await this.cancel(first.id);
      await setTimeout(20 + Math.random() * 100);
    }
  }

  private next(): object {
    this.count += 1;
    const payload = { ms: Math.floor(Math.random() * 400) };
    return { type: 'sleep', payload, pool: 'platform', maxRetries: 100, idempotencyKey: `job-${this.count}` };
  }

  private async cancel(id: string): Promise<void> {
    const { status } = await this.answer(`/jobs/${id}/cancel`);
    if (status === 200) this.cancelled.add(id);
    else expect(status).toBe(409);
  }

  private async persist<T>(path: string, body: object): Promise<T> {
    const answer = await this.answer<T>(path, body);
    if (answer.status > 299) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  private async answer<T>(path: string, body?: object): Promise<{ status: number; body: T }> {
    for (;;) {
      try {
        const answer = await this.api.call<T>('POST', path, body === undefined ? {} : { body });
        if (answer.status < 500) return answer;
      } catch (error) {
        // The service was killed, before or after it had stored them. (Jest's Error is not that of fetch.)
        if (!String(error).startsWith('TypeError')) throw error;
      }
      await setTimeout(100);
    }
  }
}

describe('kill -9 of the service under load', () => {
  let folder: string;
  let service: Service;
  let api: ApiClient;
  let environment: Record<string, string>;
  const agents: AgentProcess[] = [];
  const all: AgentProcess[] = [];

  const restart = (): Promise<Service> => Service.spawn({ dataDir: join(folder, 'data'), environment });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'crowsnest-kills-'));
    environment = {
      PORT: String(await freePort()),
      CROWSNEST_JOB_LEASE: '3s',
      CROWSNEST_JOB_RECOVERY_PERIOD: '1s',
      CROWSNEST_JOB_RETRY_DELAY: '200ms',
      CROWSNEST_JOB_RETRY_DELAY_MAX: '1s',
    };
    service = await Service.start({ dataDir: join(folder, 'data'), environment });
    api = new ApiClient(service.url);
    const body = { pool: 'platform', maxUses: AGENTS };
    const { token } = await api.must<{ token: string }>('POST', '/bootstrap-tokens', { body });
    for (let index = 0; index < AGENTS; index += 1) agents.push(startAgent(index, token));
    await Promise.all(agents.map((agent) => agent.waitFor(({ message }) => message === 'working')));
  }, 60_000);
  afterAll(async () => {
    await Promise.all(all.map((agent) => agent.end('SIGKILL')));
    await service.end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  function startAgent(index: number, token = 'has a credential'): AgentProcess {
    const name = `agent-${index}`;
    const credentialFile = join(folder, name);
    const agent = new AgentProcess({
      url: `http://127.0.0.1:${environment['PORT']}`,
      token,
      name,
      credentialFile,
      capacity: 8,
    });
    all.push(agent);
    return agent;
  }

  async function everyJob(): Promise<Job[]> {
    const found: Job[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: { items: Job[]; nextCursor: string | null } = await api.must(
        'GET',
        `/jobs?limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      found.push(...page.items);
      cursor = page.nextCursor;
    }
    return found;
  }

  it(
    `leaves every job that was taken in with one end, after ${KILLS} kills at random moments`,
    async () => {
      const load = new Load(api);
      const loading = load.run();
      for (let kill = 1; kill <= KILLS; kill += 1) {
        // One in four of these moments may be in its start.
        if (kill % 4 !== 0) await service.waitForLine(({ message }) => message === 'ready', 30_000);
        await setTimeout(Math.random() * 2_000);
        await service.end('SIGKILL');
        service = await restart();
        if (kill % 3 !== 0) continue;
        await agents[kill % AGENTS]?.end('SIGKILL');
        agents[kill % AGENTS] = startAgent(kill % AGENTS);
      }
      load.isOver = true;
      await loading;
      await service.waitForLine(({ message }) => message === 'ready', 30_000);

      const jobs = await eventually(everyJob, (found) => found.every(({ state }) => TERMINAL.has(state)), 90_000);
      const byKey = new Map(jobs.map((job) => [job.idempotencyKey, job.id]));
      expect(byKey.size).toBe(jobs.length);
      const lost = [...load.acknowledged].filter(([key, id]) => byKey.get(key) !== id);
      expect(lost).toEqual([]);
      expect(load.acknowledged.size).toBeGreaterThan(KILLS * 5);

      const accepted = Map.groupBy(
        all.flatMap(({ lines }) => lines.filter(({ message }) => message === 'completed')),
        ({ job }) => job,
      );
      expect([...accepted].filter(([, lines]) => lines.length > 1)).toEqual([]);
      let retried = 0;
      for (const { id, state } of jobs) {
        const { history, attempts } = await api.must<JobDetail>('GET', `/jobs/${id}`);
        const ends = history.filter((entry) => TERMINAL.has(entry.state));
        expect([id, ends.map((entry) => entry.state)]).toEqual([id, [state]]);
        expect([id, state]).toEqual([
          id,
          load.cancelled.has(id) ? expect.stringMatching(/canceled|completed/) : 'completed',
        ]);
        if (accepted.has(id)) expect([id, state]).toEqual([id, 'completed']);
        if (attempts > 1) retried += 1;
      }
      process.stderr.write(`${KILLS} kills, ${jobs.length} jobs, ${retried} tried more than once\n`);
    },
    60_000 + KILLS * 10_000,
  );
});
