import { once } from 'node:events';
import { type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type BenchData, EVENT_NAME, type EventServer, envelope } from './sse-event.ts';

/** The least that a server of node:http can do: each event encoded once, one `response.write` for each client. */
export async function start(): Promise<EventServer> {
  const clients = new Set<ServerResponse>();
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write('retry: 3000\n\n');
    clients.add(response);
    response.on('close', () => clients.delete(response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    joined: 'retry:',
    publish(data: BenchData): void {
      const text = `id: 0123456789ab.${data.serial}\nevent: ${EVENT_NAME}\ndata: ${JSON.stringify(envelope(data))}\n\n`;
      const frame = Buffer.from(text);
      for (const response of clients) response.write(frame);
    },
    async stop(): Promise<void> {
      for (const response of clients) response.end();
      server.close();
      await once(server, 'close');
    },
  };
}
