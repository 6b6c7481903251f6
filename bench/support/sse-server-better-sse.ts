import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createChannel, createSession } from 'better-sse';
import { type BenchData, EVENT_NAME, type EventServer, envelope } from './sse-event.ts';

/** better-sse's channel, as its documentation shows it. */
export async function start(): Promise<EventServer> {
  const channel = createChannel();
  const server = createServer((request, response) => {
    void createSession(request, response).then((session) => channel.register(session));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    joined: 'retry:',
    publish(data: BenchData): void {
      channel.broadcast(envelope(data), EVENT_NAME, { eventId: `0123456789ab.${data.serial}` });
    },
    async stop(): Promise<void> {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
