// Calls over 8 connections, one at a time on each. A line with a `Load` gives one with its `LoadResult`.
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { RunService } from './flowwatch-messages.ts';
import { quantile } from '../figure.ts';

export interface Load {
  readonly origin: string;
  readonly method: 'listRuns' | 'getRun';
  readonly json: boolean;
  readonly forMs: number;
  /** Asked for by GetRun. */
  readonly runIds: readonly string[];
  /** Whose runs ListRuns lists; those of all if absent. */
  readonly subsystemIds?: readonly string[];
  /** Each connection makes a call so often, and what comes late is counted as slow; one after the other if absent. */
  readonly everyMs?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Runs of the last answer. */
  readonly runs: number;
}

const CONNECTIONS = 8;
const PAGE = 50;

type RunClient = Client<typeof RunService>;
const clients = new Map<string, readonly RunClient[]>();

/** Each with a connection of its own, which it keeps. */
function clientsOf(origin: string, json: boolean): readonly RunClient[] {
  const key = `${origin} ${json}`;
  const made =
    clients.get(key) ??
    Array.from({ length: CONNECTIONS }, () => {
      return createClient(
        RunService,
        createConnectTransport({ baseUrl: origin, httpVersion: '2', useBinaryFormat: !json }),
      );
    });
  clients.set(key, made);
  return made;
}

async function load({ origin, method, json, forMs, runIds, subsystemIds = [], everyMs }: Load): Promise<LoadResult> {
  const took: number[] = [];
  const request = { pagination: { limit: PAGE }, filter: { subsystemIds: [...subsystemIds] } };
  let runs = 0;
  const start = performance.now();
  const until = start + forMs;
  const caller = async (client: RunClient, index: number): Promise<void> => {
    let due = start + ((everyMs ?? 0) * index) / CONNECTIONS;
    for (let i = index; performance.now() < until; i += CONNECTIONS) {
      const sent = await next(due, everyMs);
      due += everyMs ?? 0;
      if (method === 'listRuns') runs = (await client.listRuns(request)).runs.length;
      else runs = (await client.getRun({ runId: runIds[i % runIds.length] ?? '' })).run ? 1 : 0;
      took.push(performance.now() - sent);
    }
  };
  await Promise.all(clientsOf(origin, json).map(caller));
  const seconds = (performance.now() - start) / 1_000;
  return { requests: took.length, perSecond: took.length / seconds, p99Ms: quantile(took, 0.99), runs };
}

/** Since when the next call is on its way: from when it was due if the one before has made it late. */
async function next(due: number, everyMs: number | undefined): Promise<number> {
  const wait = due - performance.now();
  if (everyMs === undefined || wait > 0) {
    if (wait > 0) await delay(wait);
    return performance.now();
  }
  return due;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await load(JSON.parse(line) as Load))}\n`);
}
// Connections that are kept open keep the process.
process.exit(0);
