// FlowWatch subsystems that stream: `gateway-live-source.ts <subsystems>`. Prints their endpoints. A line with a number makes
// each tell so many events on each of its streams; events are numbered by their `event_time`. Writes them ready-made, so that
// it takes as little of the machine as it can.
import { type ServerHttp2Stream, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { create, toBinary } from '@bufbuild/protobuf';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { WorkflowService } from './flowwatch-messages.ts';
import { RunEventSchema, RunEventType, enveloped } from './gateway-live-messages.ts';
import { runsOf } from './gateway-runs.ts';

const RUNS = 100;
/** Events that are written at once. */
const GROUP = 10;

class Source {
  endpoint = '';
  private readonly streams = new Set<ServerHttp2Stream>();
  private told = 0;
  private readonly number: number;
  private readonly runs: ReturnType<typeof runsOf>;

  constructor(number: number) {
    this.number = number;
    this.runs = runsOf(number, RUNS);
  }

  get open(): number {
    return this.streams.size;
  }

  async listen(): Promise<void> {
    const answer = connectNodeAdapter({
      routes: (router) =>
        router.service(WorkflowService, {
          listWorkflows: () => ({}),
          getCapabilities: () => ({ capabilities: { streaming: true } }),
        }),
    });
    const server = createServer((request, response) => {
      if (!request.url.endsWith('/WatchRuns')) {
        answer(request, response);
        return;
      }
      const { stream } = response;
      request.resume();
      stream.respond({ ':status': 200, 'content-type': 'application/connect+proto' });
      this.streams.add(stream);
      stream.on('error', () => undefined).on('close', () => this.streams.delete(stream));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  tell(count: number): void {
    const events = Array.from({ length: count }, () => {
      this.told += 1;
      const run = this.runs[this.told % RUNS];
      const eventTime = { seconds: BigInt(this.number), nanos: this.told };
      const event = create(RunEventSchema, { eventType: RunEventType.UPDATED, eventTime, ...(run ? { run } : {}) });
      return enveloped(toBinary(RunEventSchema, event));
    });
    const group = Buffer.concat(events);
    for (const stream of this.streams) stream.write(group);
  }
}

const sources = Array.from({ length: Number(process.argv[2]) }, (_, number) => new Source(number));
await Promise.all(sources.map((source) => source.listen()));
process.stdout.write(`${JSON.stringify(sources.map(({ endpoint }) => endpoint))}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  let left = Number(line);
  for (; left > 0; left -= GROUP) {
    for (const source of sources) source.tell(Math.min(GROUP, left));
    await new Promise(setImmediate);
  }
  process.stdout.write(`${sources.reduce((sum, { open }) => sum + open, 0)}\n`);
}
process.exit(0);
