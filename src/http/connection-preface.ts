import type { Socket } from 'node:net';
import type { Clock } from '../runtime/clock.js';

/** What a client with prior knowledge of HTTP/2 begins with: RFC 9113, section 3.4. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export type Protocol = 'http1' | 'http2';

/**
 * Reads as much of a new connection as tells HTTP/2 from HTTP/1.1, puts it back, and tells. One that ends before says
 * nothing more; one that is not told within `withinMs` is destroyed.
 */
export function readPreface(socket: Socket, clock: Clock, withinMs: number, tell: (protocol: Protocol) => void): void {
  let begun: Buffer = Buffer.alloc(0);
  const late = clock.after(withinMs, () => socket.destroy(), { unref: true });
  const done = (): void => {
    late.cancel();
    socket.off('readable', onReadable);
    socket.off('close', done);
    socket.off('end', onEnd);
    socket.off('error', ignore);
  };
  const hand = (protocol: Protocol): void => {
    done();
    if (begun.length > 0) socket.unshift(begun);
    tell(protocol);
  };
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    begun = begun.length === 0 ? chunk : Buffer.concat([begun, chunk]);
    const length = Math.min(begun.length, PREFACE.length);
    if (begun.compare(PREFACE, 0, length, 0, length) !== 0) hand('http1');
    else if (length === PREFACE.length) hand('http2');
  };
  const onEnd = (): void => void socket.destroy();
  socket.on('readable', onReadable);
  socket.once('close', done);
  socket.once('end', onEnd);
  // Whatever goes wrong before the first request closes the connection, and nobody has asked for anything yet.
  socket.on('error', ignore);
}

function ignore(): void {}
