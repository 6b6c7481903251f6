// A FlowWatch subsystem over cleartext HTTP/2: `gateway-subsystem.ts <number> <runs>`. Prints its endpoint.
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { RunService, WorkflowService } from './flowwatch-messages.ts';
import { pageOf, runsOf } from './gateway-runs.ts';

const [number, count] = process.argv.slice(2).map(Number);
const runs = runsOf(number ?? 0, count ?? 0);
const byId = new Map(runs.map((run) => [run.id, run]));

const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router
        .service(RunService, {
          listRuns: (request) => pageOf(runs, request),
          getRun: ({ runId }) => {
            const run = byId.get(runId);
            if (!run) throw new ConnectError('no such run', Code.NotFound);
            return { run };
          },
        })
        .service(WorkflowService, { listWorkflows: () => ({}), getCapabilities: () => ({ capabilities: {} }) }),
  }),
);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
