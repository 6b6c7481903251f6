// The plain way with connect-es: a merge of pages, and a proxy of one run. `gateway-peer.ts <endpoint …>`. Prints its endpoint.
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createClient } from '@connectrpc/connect';
import { connectNodeAdapter, createConnectTransport } from '@connectrpc/connect-node';
import { RunService } from './flowwatch-messages.ts';
import { mergePages } from './gateway-runs.ts';

const clients = process.argv
  .slice(2)
  .map((baseUrl) =>
    createClient(RunService, createConnectTransport({ baseUrl, httpVersion: '2', useBinaryFormat: true })),
  );

const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(RunService, {
        async listRuns(request) {
          const answers = await Promise.all(clients.map((client) => client.listRuns(request)));
          const limit = request.pagination?.limit ?? 20;
          const totalCount = answers.reduce((sum, { pagination }) => sum + (pagination?.totalCount ?? 0), 0);
          return {
            runs: mergePages(
              answers.map(({ runs }) => runs),
              limit,
            ),
            pagination: { totalCount },
          };
        },
        getRun: (request) => clients[0]?.getRun(request) ?? {},
      }),
  }),
);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
