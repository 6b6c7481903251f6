import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AgentProcess } from './support/agent-process.js';
import { ApiClient, eventually } from './support/api-client.js';
import { Service } from './support/service.js';

const SECRET = 'ops-0123456789abcdef';
const TEAM_SECRET = 'team-0123456789abcdef';

interface Agent {
  readonly id: string;
  readonly tenantId: string;
  readonly health: string;
  readonly version: number;
}
interface Registered {
  readonly agent: Agent;
  readonly credential: string;
  readonly nextBeatMs: number;
}
interface Job {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly agentId: string | null;
  readonly attempts: number;
}
interface Claimed {
  readonly jobs: ReadonlyArray<{ readonly id: string; readonly lease: { readonly token: string } }>;
}

/** Agents beat twice a second, and are offline after a second. */
const ENVIRONMENT = {
  CROWSNEST_JOB_LEASE: '3s',
  CROWSNEST_JOB_RECOVERY_PERIOD: '500ms',
  CROWSNEST_JOB_RETRY_DELAY: '60s',
  CROWSNEST_AGENT_HEARTBEAT: '300ms',
  CROWSNEST_AGENT_STALE: '1s',
  CROWSNEST_AGENT_HEALTH_PERIOD: '300ms',
};

describe('agents', () => {
  let service: Service;
  let nobody: ApiClient;
  let ops: ApiClient;
  let folder: string;
  const processes: AgentProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'crowsnest-agents-'));
    const keys = `ops:admin:${SECRET},team:admin@team-a:${TEAM_SECRET}`;
    service = await Service.start({ environment: { ...ENVIRONMENT, CROWSNEST_API_KEYS: keys } });
    nobody = new ApiClient(service.url);
    ops = new ApiClient(service.url, SECRET);
    await ops.must('POST', '/tenants', { body: { name: 'team-a' } });
  });
  afterAll(async () => {
    await Promise.all(processes.map((each) => each.end('SIGKILL')));
    await service.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  const issueToken = async (asked: object = {}, by = ops): Promise<string> =>
    (await by.must<{ token: string }>('POST', '/bootstrap-tokens', { body: { pool: 'platform', ...asked } })).token;
  async function register(name: string, asked: object = {}): Promise<Registered & { readonly api: ApiClient }> {
    const body = { token: await issueToken(asked), name, later: 'ignored' };
    const registered = await nobody.must<Registered>('POST', '/agents/register', { body });
    return { ...registered, api: new ApiClient(service.url, registered.credential) };
  }
  const enqueue = (type = 'scan'): Promise<Job> =>
    ops.must<Job>('POST', '/jobs', { body: { type, payload: { ms: 600_000 }, pool: 'platform' } });
  const jobOf = (id: string): Promise<Job> => ops.must<Job>('GET', `/jobs/${id}`);
  const agentOf = (id: string): Promise<Agent> => ops.must<Agent>('GET', `/agents/${id}`);
  const claim = async (api: ApiClient): Promise<{ id: string; token: string }> => {
    const body = { claimId: crypto.randomUUID(), waitMs: 2_000, later: 'ignored' };
    const { jobs } = await api.must<Claimed>('POST', '/jobs/claim', { body });
    return { id: jobs[0]?.id ?? '', token: jobs[0]?.lease.token ?? '' };
  };

  it('register, claim, beat, tell progress and complete', async () => {
    const { agent, api, nextBeatMs } = await register('worker', { labels: { zone: 'eu' } });
    expect(agent).toMatchObject({ name: 'worker', labels: { zone: 'eu' }, health: 'unknown', tenantId: '*' });
    expect(nextBeatMs).toBeLessThanOrEqual(300);
    const { id: enqueued } = await enqueue();
    const { id, token } = await claim(api);
    expect(id).toBe(enqueued);
    await api.must('POST', `/jobs/${id}/start`, { body: { token, later: 1 } });
    const jobs = [
      { id, token, progress: { percent: 40, message: 'layer 4' } },
      { id: 'f'.repeat(24), token },
    ];
    const beat = await api.must('POST', '/agents/heartbeat', { body: { jobs, load: 0.5, later: {} } });
    expect(beat).toMatchObject({ renewed: [{ id }], lost: ['f'.repeat(24)], cancel: [] });
    expect(await jobOf(id)).toMatchObject({ state: 'running', agentId: agent.id, progress: { percent: 40 } });
    expect(await agentOf(agent.id)).toMatchObject({ health: 'online', load: 0.5, version: 1 });
    await ops.must('POST', `/jobs/${id}/cancel`);
    const again = await api.must('POST', '/agents/heartbeat', { body: { jobs: jobs.slice(0, 1) } });
    expect(again).toMatchObject({ cancel: [id] });
    await api.must('POST', `/jobs/${id}/complete`, { body: { token, result: { findings: 3 } } });
    expect(await jobOf(id)).toMatchObject({ state: 'completed' });
  });

  it('may call the routes of agents only, and users all others', async () => {
    const { agent, api } = await register('scout');
    for (const [method, path] of [
      ['GET', '/jobs'],
      ['GET', '/agents'],
      ['GET', `/agents/${agent.id}`],
      ['DELETE', `/agents/${agent.id}`],
      ['POST', '/bootstrap-tokens'],
      ['POST', '/streams/tickets'],
      ['GET', '/streams?key=clusters&duration=10ms'],
      ['GET', '/metrics'],
    ] as const) {
      expect([path, (await api.call(method, path)).status]).toEqual([path, 403]);
    }
    for (const path of ['/agents/heartbeat', '/jobs/claim', `/jobs/${agent.id}/complete`]) {
      expect([path, (await ops.call('POST', path, { body: {} })).status]).toEqual([path, 403]);
      expect([path, (await nobody.call('POST', path, { body: {} })).status]).toEqual([path, 401]);
    }
    expect((await api.call('POST', '/jobs/claim', { body: {} })).body).toMatchObject({ errors: [{ path: 'claimId' }] });
  });

  it('are refused at the next request once they are revoked or removed, and their jobs go to others', async () => {
    for (const end of ['revoke', 'remove'] as const) {
      const { agent, api } = await register(`ending-${end}`);
      await enqueue();
      const { id, token } = await claim(api);
      if (end === 'remove') await ops.must('DELETE', `/agents/${agent.id}`);
      else await ops.must('PATCH', `/agents/${agent.id}`, { body: { version: 1, status: 'revoked' } });
      const calls = [
        api.call('POST', '/agents/heartbeat', { body: {} }),
        api.call('POST', `/jobs/${id}/complete`, { body: { token } }),
        api.call('POST', '/jobs/claim', { body: { claimId: 'x' } }),
      ];
      expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([401, 401, 401]);
      expect(await jobOf(id)).toMatchObject({ state: 'queued', reason: 'agent_removed', runAt: null });
      await ops.must('POST', `/jobs/${id}/cancel`);
    }
  });

  it('are refused while they wait for jobs, as soon as they are revoked', async () => {
    const { agent, api } = await register('waiting');
    const begun = performance.now();
    const waiting = api.call('POST', '/jobs/claim', { body: { claimId: 'waits', waitMs: 30_000 } });
    await eventually(
      () => ops.must<string>('GET', '/metrics'),
      (metrics) => /^crowsnest_job_parked_claims [1-9]/m.test(metrics),
    );
    await ops.must('PATCH', `/agents/${agent.id}`, { body: { version: 1, status: 'revoked' } });
    expect((await waiting).status).toBe(401);
    expect(performance.now() - begun).toBeLessThan(15_000);
  });

  it('change their credential themselves, with a grace for the former', async () => {
    const { agent, api } = await register('rotating');
    const path = `/agents/${agent.id}/credentials`;
    const { credential } = await api.must<{ credential: string }>('POST', path, { body: { graceMs: 0 } });
    expect((await api.call('POST', '/agents/heartbeat', { body: {} })).status).toBe(401);
    const renewed = new ApiClient(service.url, credential);
    await renewed.must('POST', '/agents/heartbeat', { body: {} });
    await renewed.must('POST', path, { body: {} });
    await renewed.must('POST', '/agents/heartbeat', { body: {} });
    const other = await register('rotating-2');
    expect((await other.api.call('POST', path, { body: {} })).status).toBe(404);
    expect((await nobody.call('POST', path, { body: {} })).status).toBe(401);
  });

  it('are let in by a token as often as it says, whatever the race', async () => {
    const token = await issueToken({ maxUses: 2 });
    const bodies = Array.from({ length: 20 }, (_, index) => ({ token, name: `racer-${index}` }));
    const answers = await Promise.all(bodies.map((body) => nobody.call('POST', '/agents/register', { body })));
    expect(answers.map(({ status }) => status).filter((status) => status === 201)).toHaveLength(2);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(18);
    const listed = await ops.call<string>('GET', '/bootstrap-tokens');
    expect(JSON.stringify(listed.body)).not.toContain(token.split('.')[1]);
  });

  it('that are killed lose their leases, and are offline soon', async () => {
    const alive = await register('alive');
    const { id: jobId } = await enqueue('sleep');
    const token = await issueToken();
    const [url, name] = [service.url, 'victim'];
    const victim = new AgentProcess({ url, token, name, credentialFile: join(folder, name) });
    processes.push(victim);
    const { agentId } = await eventually(
      () => jobOf(jobId),
      ({ state }) => state === 'running',
    );
    expect(await agentOf(agentId ?? '')).toMatchObject({ name: 'victim' });
    await victim.end('SIGKILL');
    const beating = setInterval(() => void alive.api.call('POST', '/agents/heartbeat', { body: {} }), 300);
    try {
      const released = await eventually(
        () => jobOf(jobId),
        ({ state }) => state !== 'running',
      );
      expect(released.state).toBe('scheduled');
      expect(['agent_offline', 'lease_expired']).toContain(released.reason);
      const dead = await eventually(
        () => agentOf(agentId ?? ''),
        ({ health }) => health === 'offline',
      );
      expect(dead).toMatchObject({ name: 'victim', status: 'active' });
      expect(await agentOf(alive.agent.id)).toMatchObject({ health: 'online' });
    } finally {
      clearInterval(beating);
    }
  });

  it('of a tenant are seen by that tenant only', async () => {
    const team = new ApiClient(service.url, TEAM_SECRET);
    const token = await issueToken({ pool: 'tenant' }, team);
    const { agent } = await nobody.must<Registered>('POST', '/agents/register', { body: { token, name: 'own' } });
    expect(agent.tenantId).toBe('team-a');
    const { items } = await team.must<{ items: Array<{ name: string }> }>('GET', '/agents');
    expect(items.map(({ name }) => name)).toEqual(['own']);
    const { agent: platform } = await register('unseen');
    expect((await team.call('GET', `/agents/${platform.id}`)).status).toBe(404);
    expect((await team.call('DELETE', `/agents/${platform.id}`)).status).toBe(404);
    expect((await team.call('POST', '/bootstrap-tokens', { body: { pool: 'platform' } })).status).toBe(403);
    expect((await team.call('POST', '/bootstrap-tokens', { body: { expiresInMs: 90_000_000 } })).body).toMatchObject({
      errors: [{ path: 'expiresInMs' }],
    });
  });

  it('have no secret in the log of the service', async () => {
    const { credential } = await register('secretive');
    const { key } = await ops.must<{ key: string }>('POST', '/api-keys', { body: { name: 'logged', role: 'viewer' } });
    await new ApiClient(service.url, key).must('GET', '/agents');
    for (const text of [credential, key]) expect(service.text).not.toContain(text.split('.')[1]);
  });
});

describe('an agent that claims again as soon as it is answered', () => {
  let service: Service;

  beforeAll(async () => {
    service = await Service.start({ environment: { CROWSNEST_API_KEYS: `ops:admin:${SECRET}` } });
  });
  afterAll(() => service.dispose());

  it('does not hold up the end of the service', async () => {
    const ops = new ApiClient(service.url, SECRET);
    const { token } = await ops.must<{ token: string }>('POST', '/bootstrap-tokens', { body: { pool: 'platform' } });
    const body = { token, name: 'eager' };
    const { credential } = await new ApiClient(service.url).must<Registered>('POST', '/agents/register', { body });
    const statuses: number[] = [];
    let isGone = false;
    const claims = (async (): Promise<void> => {
      while (!isGone) {
        try {
          const response = await fetch(service.api('/jobs/claim'), {
            method: 'POST',
            headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
            body: JSON.stringify({ claimId: crypto.randomUUID(), waitMs: 20_000 }),
          });
          await response.text();
          statuses.push(response.status);
        } catch {
          // It does not listen any more.
          isGone = true;
        }
      }
    })();
    await eventually(
      () => ops.must<string>('GET', '/metrics'),
      (text) => text.includes('crowsnest_job_parked_claims 1\n'),
    );
    const begun = performance.now();
    expect(await service.end('SIGTERM')).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
    await claims;
    // The one that waited, and at most a few on connections that were open still.
    expect(statuses[0]).toBe(200);
    expect(statuses.slice(1).every((status) => status === 503)).toBe(true);
    expect(statuses.length).toBeLessThan(10);
  });
});

describe('API keys', () => {
  let service: Service;
  let ops: ApiClient;

  beforeAll(async () => {
    service = await Service.start({ environment: { CROWSNEST_API_KEYS: `ops:admin:${SECRET}` } });
    ops = new ApiClient(service.url, SECRET);
  });
  afterAll(() => service.dispose());

  it('work until they are revoked, for streams and tickets too', async () => {
    const body = { name: 'ci', role: 'operator', tenantId: 'default' };
    const created = await ops.must<{ id: string; key: string }>('POST', '/api-keys', { body });
    const ci = new ApiClient(service.url, created.key);
    expect(await ci.must('POST', '/jobs', { body: { type: 'scan' } })).toMatchObject({
      tenantId: 'default',
      createdBy: `ci.${created.id}`,
    });
    expect((await ci.call('POST', '/api-keys', { body })).status).toBe(403);
    const { ticket } = await ci.must<{ ticket: string }>('POST', '/streams/tickets', { body: { keys: ['clusters'] } });
    const stream = `/streams?ticket=${ticket}&duration=10ms`;
    expect((await new ApiClient(service.url).call('GET', stream)).status).toBe(200);
    expect(await ops.must('GET', `/api-keys/${created.id}`)).toMatchObject({ lastUsedAt: expect.any(String) });
    const open = await fetch(service.api('/streams/clusters'), { headers: { authorization: `Bearer ${created.key}` } });
    await ops.must('DELETE', `/api-keys/${created.id}`);
    expect((await ci.call('GET', '/jobs')).status).toBe(401);
    // The stream that is open is cut, which is no clean end.
    await expect(open.text()).rejects.toThrow();
    const refused = await new ApiClient(service.url).call('GET', stream);
    expect([refused.status, refused.body]).toMatchObject([401, { code: 'stream.ticket_refused' }]);
    expect((await ops.call('DELETE', `/api-keys/${created.id}`)).status).toBe(404);
  });
});
