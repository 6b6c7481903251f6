import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Agent, type JobFunction } from '../agent/agent.js';
import { AgentProcess } from './support/agent-process.js';
import { ApiClient, eventually } from './support/api-client.js';
import { Service } from './support/service.js';

interface Job {
  readonly id: string;
  readonly state: string;
  readonly agentId: string | null;
  readonly attempts: number;
  readonly result: unknown;
  readonly error: unknown;
  readonly history: ReadonlyArray<{ readonly event: string }>;
  readonly progress: { readonly percent: number } | null;
}

const CLI = fileURLToPath(new URL('../agent/cli.ts', import.meta.url));

/** Runs it to its end. */
function run(...args: string[]): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [CLI, ...args], { timeout: 15_000 }, (_, __, said) =>
      resolve({ code: child.exitCode, said }),
    );
  });
}

describe('the reference agent', () => {
  let service: Service;
  let api: ApiClient;
  let folder: string;
  const agents: AgentProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'crowsnest-agents-'));
    const environment = {
      CROWSNEST_JOB_LEASE: '5s',
      CROWSNEST_JOB_RECOVERY_PERIOD: '500ms',
      CROWSNEST_JOB_RETRY_DELAY: '100ms',
    };
    service = await Service.start({ environment });
    api = new ApiClient(service.url);
  });
  afterEach(() => Promise.all(agents.map((agent) => agent.end('SIGKILL'))));
  afterAll(async () => {
    await service.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  async function startAgent(name: string, capacity = 4): Promise<AgentProcess> {
    const body = { pool: 'platform' };
    const { token } = await api.must<{ token: string }>('POST', '/bootstrap-tokens', { body });
    const credentialFile = join(folder, name);
    const agent = new AgentProcess({ url: service.url, token, name, credentialFile, capacity });
    agents.push(agent);
    await agent.waitFor(({ message }) => message === 'working');
    return agent;
  }

  const enqueue = (type: string, payload: unknown, rest: object = {}): Promise<Job> =>
    api.must<Job>('POST', '/jobs', { body: { type, payload, pool: 'platform', ...rest } });
  const get = (id: string): Promise<Job> => api.must<Job>('GET', `/jobs/${id}`);
  const until = (id: string, state: string): Promise<Job> =>
    eventually(
      () => get(id),
      (job) => job.state === state,
    );

  it('registers, does a job, tells progress, stops one that is cancelled and keeps a lease for longer than it lasts', async () => {
    const agent = await startAgent('worker');
    const echo = await enqueue('echo', { hello: 'world' });
    expect(await until(echo.id, 'completed')).toMatchObject({ attempts: 1, result: { hello: 'world' } });
    const endless = await enqueue('sleep', { ms: 600_000 });
    const long = await enqueue('sleep', { ms: 7_000 });
    await until(endless.id, 'running');
    await eventually(
      () => get(long.id),
      ({ progress }) => (progress?.percent ?? 0) > 0,
    );
    await api.must('POST', `/jobs/${endless.id}/cancel`);
    await until(endless.id, 'canceled');
    const { attempts, history } = await until(long.id, 'completed');
    expect([attempts, history.map(({ event }) => event)]).toEqual([1, ['enqueue', 'claim', 'start', 'complete']]);
    await agent.waitFor(({ message, job }) => message === 'completed' && job === long.id);
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  it('claims no more and ends its jobs when it is told to end; with its credential it comes back as the same agent', async () => {
    const first = await startAgent('drained', 1);
    const begun = await enqueue('sleep', { ms: 1_500 });
    const { agentId } = await until(begun.id, 'running');
    const waiting = await enqueue('echo', 1);
    expect(await first.end('SIGTERM')).toBe(0);
    expect((await get(begun.id)).state).toBe('completed');
    expect((await get(waiting.id)).state).toBe('queued');
    const credentialFile = join(folder, 'drained');
    const again = new AgentProcess({ url: service.url, token: 'spent', name: 'drained', credentialFile });
    agents.push(again);
    expect(await until(waiting.id, 'completed')).toMatchObject({ agentId });
    expect(await again.end('SIGTERM')).toBe(0);
  });

  it('stops a job that takes longer than it may, and tells so at once', async () => {
    await startAgent('punctual');
    // Nobody but the agent ends it.
    await api.must('POST', '/controllers/job-recovery/pause');
    const late = await enqueue('sleep', { ms: 600_000 }, { timeoutMs: 1_000, maxRetries: 0 });
    const patient = await enqueue('sleep', { ms: 500 }, { timeoutMs: 30 * 86_400_000, maxRetries: 0 });
    expect(await until(late.id, 'failed')).toMatchObject({ error: { code: 'timeout' } });
    expect(await until(patient.id, 'completed')).toMatchObject({ attempts: 1 });
    await api.must('POST', '/controllers/job-recovery/resume');
  });

  it('tells what cannot be taken of a job, and keeps what can', async () => {
    const { token } = await api.must<{ token: string }>('POST', '/bootstrap-tokens', { body: { pool: 'platform' } });
    const body = { token, name: 'verbose' };
    const { credential } = await api.must<{ credential: string }>('POST', '/agents/register', { body });
    const progressSeen = Promise.withResolvers<void>();
    const functions: Readonly<Record<string, JobFunction>> = {
      huge: () => Promise.resolve('x'.repeat(1024 * 1024)),
      wordy: () => Promise.reject(new Error('x'.repeat(10_000))),
      chatty: async (_, { progress }) => {
        progress({ percent: 140, message: 'x'.repeat(2_000) });
        await progressSeen.promise;
        return 1;
      },
    };
    const stop = new AbortController();
    const running = new Agent({ url: service.url, credential, functions, capacity: 3, waitMs: 1_000 }).run(stop.signal);
    try {
      const [huge, wordy, chatty] = await Promise.all(
        ['huge', 'wordy', 'chatty'].map((type) => enqueue(type, null, { maxRetries: 0 })),
      );
      const tooLarge = { attempts: 1, error: { code: 'request.too_large' } };
      expect(await until(String(huge?.id), 'failed')).toMatchObject(tooLarge);
      const clipped = { error: { code: null, message: 'x'.repeat(8_192) } };
      expect(await until(String(wordy?.id), 'failed')).toMatchObject(clipped);
      const { progress } = await eventually(
        () => get(String(chatty?.id)),
        (job) => job.progress !== null,
      );
      expect(progress).toMatchObject({ percent: 100, message: 'x'.repeat(1_024) });
      progressSeen.resolve();
      await until(String(chatty?.id), 'completed');
    } finally {
      stop.abort();
      await running;
    }
  });

  it('leaves its jobs to others when it is killed', async () => {
    const killed = await startAgent('killed');
    const job = await enqueue('sleep', { ms: 4_000 });
    const { agentId } = await until(job.id, 'running');
    await killed.end('SIGKILL');
    await startAgent('heir');
    const done = await until(job.id, 'completed');
    expect(done.attempts).toBeGreaterThan(1);
    expect(done.agentId).not.toBe(agentId);
  });

  it.each([
    [['--url', 'localhost:3000'], '--url'],
    [['--url', 'ftp://localhost'], '--url'],
    [['--capacity', '0'], '--capacity'],
    [['--capacity', '1.5'], '--capacity'],
    [['--wait', '30001'], '--wait'],
    [['--labels', 'arch'], '--labels'],
    [['--bogus'], '--bogus'],
  ])('is not started with %j', async (args, option) => {
    const { code, said } = await run('--token', 'any', ...args);
    expect([code, said.split('\n').length]).toEqual([64, 2]);
    expect(said).toContain(option);
  });

  it('spends its token only when the credential can be kept, and tells which field was refused', async () => {
    const body = { pool: 'platform' };
    const { token } = await api.must<{ token: string }>('POST', '/bootstrap-tokens', { body });
    const credentialFile = join(folder, 'no-such-folder', 'kept');
    const args = ['--url', service.url, '--token', token];
    expect((await run(...args, '--name', 'kept', '--credential-file', credentialFile)).code).toBe(64);
    const refused = await run(...args, '--name', 'Not_A_Label', '--credential-file', join(folder, 'kept'));
    expect([refused.code, refused.said]).toEqual([1, expect.stringMatching(/^422 request\.invalid: .*\(name: /)]);
    const agent = new AgentProcess({ url: service.url, token, name: 'kept', credentialFile: join(folder, 'kept') });
    agents.push(agent);
    await agent.waitFor(({ message }) => message === 'working');
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  it('says why it cannot reach the platform', async () => {
    const url = 'http://127.0.0.1:1';
    const agent = new AgentProcess({ url, token: 'any', name: 'lost', credentialFile: join(folder, 'lost') });
    agents.push(agent);
    const { why } = await agent.waitFor(({ path }) => path === '/agents/register');
    expect(why).toMatch(/bad port|ECONNREFUSED/);
  });

  it('pauses after an empty answer that did not wait', async () => {
    const claimedAt: number[] = [];
    const server: Server = createServer((request, response) => {
      if (request.url?.endsWith('/jobs/claim')) claimedAt.push(performance.now());
      const answers = { agent: { id: 'a' }, credential: 'c', jobs: [], renewed: [], lost: [], cancel: [] };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...answers, nextBeatMs: 1_000 }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const agent = new AgentProcess({ url, token: 'any', name: 'idle', credentialFile: join(folder, 'idle') });
      agents.push(agent);
      await eventually(
        () => Promise.resolve(claimedAt.length),
        (count) => count >= 3,
      );
      const [first = 0, second = 0, third = 0] = claimedAt;
      expect(Math.min(second - first, third - second)).toBeGreaterThan(400);
      expect(await agent.end('SIGTERM')).toBe(0);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
