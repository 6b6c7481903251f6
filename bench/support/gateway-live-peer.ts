// The plain way with connect-es: each watcher gets a stream of its own of one subsystem, one after the other.
// `gateway-live-peer.ts <endpoint …>`. Prints its endpoint.
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createClient } from '@connectrpc/connect';
import { connectNodeAdapter, createConnectTransport } from '@connectrpc/connect-node';
import { StreamService } from './gateway-live-messages.ts';

const clients = process.argv
  .slice(2)
  .map((baseUrl) =>
    createClient(StreamService, createConnectTransport({ baseUrl, httpVersion: '2', useBinaryFormat: true })),
  );
let watchers = 0;

const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(StreamService, {
        async *watchRuns(request, { signal }) {
          const client = clients[watchers++ % clients.length];
          if (client) yield* client.watchRuns(request, { signal });
        },
      }),
  }),
);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
