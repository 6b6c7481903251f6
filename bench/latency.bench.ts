// From the API server's write of a changed status to its arrival at an SSE client, beside a bare watch of the same server.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Figure, median, milliseconds, quantile } from './figure.ts';
import { Child } from './support/child.ts';
import { EventStreamReader } from './support/event-stream-reader.ts';
import type { Command, ServerFacts } from './support/scripted-api-server.ts';
import { ServiceProcess } from './support/service-process.ts';

const PER_SECOND = Number(process.env.BENCH_EVENTS_PER_SECOND ?? 500);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 20);
const ROUNDS = 3;
const WORKFLOWS = 10;
const NODES = 20;
const NAMESPACE = 'bench';
const SUPPORT = join(import.meta.dirname, 'support');
const ARRIVE_WITHIN_MS = 10_000;

interface Round {
  ours: number[];
  bare: number[];
  /** Serials that came to no stream. */
  lost: number;
  bareLost: number;
  cpuPerEventMs: number;
  bareCpuPerEventMs: number;
}

const node = (name: string) => ({
  id: name,
  manifest: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'app', image: 'app:1' }] } },
    },
  },
});

/** Registers the server and executes the workflows on it; resolves to their ids. */
async function prepare(service: ServiceProcess, { server, caCertificate }: ServerFacts): Promise<string[]> {
  const token = { server, caData: caCertificate, token: 'bench' };
  const cluster = await service.call<{ id: string }>('POST', '/clusters', { name: 'bench', token });
  const ids: string[] = [];
  for (let w = 0; w < WORKFLOWS; w++) {
    const nodes = Array.from({ length: NODES }, (_, n) => node(`w${w}-n${n}`));
    const body = { name: `w${w}`, clusterId: cluster.id, namespace: NAMESPACE, nodes };
    const { id } = await service.call<{ id: string }>('POST', '/workflows', body);
    await service.call('POST', `/workflows/${id}/execute`);
    ids.push(id);
  }
  for (const id of ids) await healthy(service, id);
  return ids;
}

async function healthy(service: ServiceProcess, id: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const workflow = await service.call<{ health: string }>('GET', `/workflows/${id}`);
    if (workflow.health === 'healthy') return;
    if (tries > 300) throw new Error(`the workflow does not become healthy: ${JSON.stringify(workflow)}`);
    await delay(100);
  }
}

async function round(
  facts: ServerFacts,
  caFile: string,
  api: Child,
  service: ServiceProcess,
  ids: string[],
): Promise<Round> {
  const path = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments?watch=true&resourceVersion=1000000000`;
  const bare = new Child([join(SUPPORT, 'bare-watch.ts'), facts.server, caFile, path]);
  const arrived = new Map<number, number>();
  let snapshots = 0;
  const readers = ids.map(
    (id) =>
      new EventStreamReader(`${service.origin}/api/v1/streams/workflows/${id}`, (event, data, at) => {
        if (event === 'snapshot') snapshots += 1;
        if (event !== 'node_update') return;
        const serial = Number(/"ready":(\d+)/.exec(data)?.[1]);
        if (!arrived.has(serial)) arrived.set(serial, at);
      }),
  );
  try {
    await bare.line();
    while (snapshots < ids.length) await delay(20);
    await delay(500);
    const [cpu, bareCpu] = [service.child.cpuSeconds, bare.cpuSeconds];
    api.say(JSON.stringify({ type: 'changes', perSecond: PER_SECOND, seconds: SECONDS } satisfies Command));
    const sentAt = JSON.parse(await api.line()) as number[];
    for (const until = Date.now() + ARRIVE_WITHIN_MS; arrived.size < sentAt.length && Date.now() < until;)
      await delay(20);
    const cpuPerEventMs = ((service.child.cpuSeconds - cpu) * 1000) / sentAt.length;
    const bareCpuPerEventMs = ((bare.cpuSeconds - bareCpu) * 1000) / sentAt.length;
    bare.endInput();
    const seen = new Map(JSON.parse(await bare.line()) as Array<[number, number]>);
    const took = (by: Map<number, number>): number[] =>
      sentAt.flatMap((sent, i) => (by.has(i + 1) ? [(by.get(i + 1) ?? NaN) - sent] : []));
    const [ours, theirs] = [took(arrived), took(seen)];
    const lost = sentAt.length - ours.length;
    return { ours, bare: theirs, lost, bareLost: sentAt.length - theirs.length, cpuPerEventMs, bareCpuPerEventMs };
  } finally {
    for (const reader of readers) reader.close();
    await bare.end();
  }
}

export async function run(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'crowsnest-bench-'));
  const api = new Child([join(SUPPORT, 'scripted-api-server.ts')]);
  const service = new ServiceProcess();
  const rounds: Round[] = [];
  try {
    const facts = JSON.parse(await api.line()) as ServerFacts;
    const caFile = join(directory, 'ca.crt');
    writeFileSync(caFile, facts.caCertificate);
    const ids = await prepare(await service.ready(), facts);
    for (let i = 0; i < ROUNDS; i++) rounds.push(await round(facts, caFile, api, service, ids));
  } finally {
    await service.end();
    await api.end();
    rmSync(directory, { recursive: true, force: true });
  }
  const of = (read: (round: Round) => number): number => median(rounds.map(read));
  const p99 = of(({ ours }) => quantile(ours, 0.99));
  const lost = rounds.reduce((sum, each) => sum + each.lost, 0);
  const at = `at ${PER_SECOND} events/s`;
  return [
    {
      figure: `latency: watch event to SSE byte ${at}, p50`,
      ours: milliseconds(of(({ ours }) => quantile(ours, 0.5))),
      peer: `${milliseconds(of(({ bare }) => quantile(bare, 0.5)))} (bare watch)`,
      goal: '-',
      met: true,
    },
    {
      figure: `latency: watch event to SSE byte ${at}, p99`,
      ours: milliseconds(p99),
      peer: `${milliseconds(of(({ bare }) => quantile(bare, 0.99)))} (bare watch)`,
      goal: '<= 50 ms',
      met: p99 <= 50,
    },
    {
      figure: `latency: of ${PER_SECOND * SECONDS * ROUNDS} events lost`,
      ours: String(lost),
      peer: `${rounds.reduce((sum, each) => sum + each.bareLost, 0)} (bare watch)`,
      goal: '0',
      met: lost === 0,
    },
    {
      figure: 'latency: CPU time per event, stored durably and streamed',
      ours: milliseconds(of(({ cpuPerEventMs }) => cpuPerEventMs)),
      peer: `${of(({ bareCpuPerEventMs }) => bareCpuPerEventMs).toFixed(2)} ms (bare watch)`,
      goal: '-',
      met: true,
    },
  ];
}
