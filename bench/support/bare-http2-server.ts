// A node:http2 server that answers each stream with its headers and leaves it open. Prints its origin.
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';

const server = createServer();
server.on('stream', (stream) => {
  stream.on('error', () => undefined);
  stream.on('data', () => undefined);
  stream.respond({ ':status': 200 });
  // Else the headers wait for the first bytes.
  stream.write(Buffer.from('registered'));
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
