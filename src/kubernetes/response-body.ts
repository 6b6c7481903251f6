import { type Readable, pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ConnectionCut, type Exchange } from './api-connection.js';

/** An answer that cannot be used: too large, or in an encoding that was not asked for. */
export class UnreadableBody extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UnreadableBody';
  }
}

/**
 * The whole body, decompressed. The cap holds for what arrives and for what comes out of it, so that neither a large
 * answer nor a small one that unpacks without end is kept in memory.
 *
 * @throws UnreadableBody, ConnectionCut, or the reason of the exchange's signal.
 */
export async function readBody(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  const { body } = exchange;
  try {
    const plain = decode(exchange, maxBytes);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of plain as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
    if (!exchange.isComplete()) throw new ConnectionCut('the connection broke within the answer', false);
    return Buffer.concat(chunks, length);
  } finally {
    body.destroy();
  }
}

function decode(exchange: Exchange, maxBytes: number): Readable {
  const encoding = exchange.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return exchange.body;
  if (encoding !== 'gzip') throw new UnreadableBody('the answer has an encoding that was not asked for');
  const gunzip = createGunzip();
  let arrived = 0;
  exchange.body.on('data', (chunk: Buffer) => {
    arrived += chunk.length;
    if (arrived > maxBytes) gunzip.destroy(tooLarge(maxBytes));
  });
  // Errors reach the reader through `gunzip`; the callback only keeps them from being thrown twice.
  return pipeline(exchange.body, gunzip, () => undefined);
}

function tooLarge(maxBytes: number): UnreadableBody {
  return new UnreadableBody(`the answer is larger than ${maxBytes} bytes`);
}
