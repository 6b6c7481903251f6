/** What every server of the SSE benchmarks sends, under the same name and with data of the same size. */
export const EVENT_NAME = 'cluster_health';

export const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface BenchData {
  /** Counted from 1 by the server's process: tells what is missing. */
  readonly serial: number;
  /** Milliseconds of `sharedNow`, whole. */
  readonly sentAt: number;
  readonly [field: string]: unknown;
}

/** About 200 bytes of JSON, plus padding. */
export function benchData(serial: number, paddingBytes: number): BenchData {
  return {
    serial,
    sentAt: Math.round(sharedNow()),
    clusterId: '65b9f0c2a9b1d3e4f5061728',
    reachable: true,
    latencyMs: 12,
    checkedAt: '2026-01-01T00:00:00.000Z',
    reason: null,
    version: 'v1.36.0',
    ...(paddingBytes > 0 ? { padding: 'x'.repeat(paddingBytes) } : {}),
  };
}

/** The envelope of the service's events around the data, for the servers that have none of their own. */
export function envelope(data: BenchData): object {
  return {
    type: 'clusters',
    streamKey: 'clusters',
    eventType: EVENT_NAME,
    timestamp: new Date().toISOString(),
    data,
  };
}

/** A server under measurement, in a process of its own. */
export interface EventServer {
  /** Where its stream is. */
  readonly url: string;
  /** A text with which a client is joined: from then on it gets every event. */
  readonly joined: string;
  publish(data: BenchData): void;
  /** Ends streams and server as it would at a shutdown. */
  stop(): Promise<void>;
}
