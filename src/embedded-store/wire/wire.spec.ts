import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Doc, decode, encode } from '../query/bson-types.js';
import { type EmbeddedStore, startEmbeddedStore } from '../index.js';
import { crc32c } from './crc32c.js';

let folder: string;
let store: EmbeddedStore;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'store-wire-'));
  store = await startEmbeddedStore({ dataDir: folder });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await store.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function open(): Promise<Socket> {
  const socket = connect(decodeURIComponent(new URL(store.uri).host));
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

function message(sections: Uint8Array[], { opcode = 2013, flags = 0, length = 0, isChecked = false } = {}): Buffer {
  const head = Buffer.alloc(20);
  const body = Buffer.concat(sections);
  head.writeInt32LE(length || head.length + body.length + (isChecked ? 4 : 0), 0);
  head.writeInt32LE(7, 4);
  head.writeInt32LE(opcode, 12);
  head.writeUInt32LE(flags, 16);
  return Buffer.concat([head, body]);
}

const body = (doc: Doc): Buffer => Buffer.concat([Buffer.from([0]), encode(doc)]);
const PING = { ping: 1, $db: 'test' };

/** The next answer's document. */
async function answer(socket: Socket): Promise<Doc> {
  let bytes = Buffer.alloc(0);
  while (bytes.length < 4 || bytes.length < bytes.readInt32LE(0)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
  return decode(bytes.subarray(bytes.readInt32LE(12) === 1 ? 36 : 21));
}

async function ask(socket: Socket, bytes: Buffer): Promise<Doc> {
  const reply = answer(socket);
  socket.write(bytes);
  return reply;
}

async function isCut(socket: Socket, bytes: Buffer): Promise<boolean> {
  const closed = once(socket, 'close');
  socket
    .on('error', () => undefined)
    .resume()
    .write(bytes);
  await closed;
  return true;
}

describe('the wire protocol', () => {
  it('answers the legacy handshake and OP_MSG, with and without a checksum', async () => {
    const socket = await open();
    const query = Buffer.concat([Buffer.from('admin.$cmd\0'), Buffer.alloc(8), encode({ isMaster: 1, helloOk: true })]);
    const hello = await ask(socket, message([query], { opcode: 2004 }));
    expect(hello).toMatchObject({ ismaster: true, helloOk: true });
    expect(hello).not.toHaveProperty('logicalSessionTimeoutMinutes');
    expect(await ask(socket, message([body(PING)]))).toMatchObject({ ok: { value: 1 } });
    const checked = message([body(PING)], { flags: 1, isChecked: true });
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(crc32c(checked));
    expect(await ask(socket, Buffer.concat([checked, sum]))).toMatchObject({ ok: { value: 1 } });
  });

  it('takes documents from a sequence section, and bytes that come one at a time', async () => {
    const socket = await open();
    const docs = Buffer.concat([Buffer.from('documents\0'), encode({ _id: 1 }), encode({ _id: 2 })]);
    const section = Buffer.alloc(5);
    section[0] = 1;
    section.writeInt32LE(docs.length + 4, 1);
    const insert = message([body({ insert: 'things', $db: 'test' }), section, docs]);
    const reply = answer(socket);
    for (const byte of insert) socket.write(Buffer.from([byte]));
    expect(await reply).toMatchObject({ n: { value: 2 } });
  });

  it('answers nothing to a message that wants no answer', async () => {
    const socket = await open();
    socket.write(message([body({ insert: 'things', documents: [{ _id: 1 }], $db: 'test' })], { flags: 2 }));
    expect(await ask(socket, message([body({ count: 'things', $db: 'test' })]))).toMatchObject({ n: { value: 1 } });
  });

  it.each([
    ['a length beyond the limit', () => message([body(PING)], { length: 48_000_001 })],
    ['a negative length', () => message([body(PING)], { length: -5 })],
    ['a length shorter than a header', () => message([body(PING)], { length: 3 })],
    ['an opcode we do not speak', () => message([body(PING)], { opcode: 2012 })],
    ['a required flag we do not know', () => message([body(PING)], { flags: 4 })],
    ['a wrong checksum', () => Buffer.concat([message([body(PING)], { flags: 1, isChecked: true }), Buffer.alloc(4)])],
    ['two bodies', () => message([body(PING), body(PING)])],
    ['no body', () => message([Buffer.from([1, 9, 0, 0, 0, 97, 0, 0, 0, 0])])],
    ['a document longer than its message', () => message([Buffer.from([0, 255, 0, 0, 0, 0])])],
    ['BSON that is cut', () => message([Buffer.from([0, 8, 0, 0, 0, 2, 97, 0, 0])])],
    [
      'another query than the handshake',
      () => message([Buffer.from('a.b\0'), Buffer.alloc(8), encode({ find: 'a' })], { opcode: 2004 }),
    ],
  ])('ends the connection, and only that one, for %s', async (_, bytes) => {
    const [bad, good] = [await open(), await open()];
    expect(await isCut(bad, bytes())).toBe(true);
    expect(await ask(good, message([body(PING)]))).toMatchObject({ ok: { value: 1 } });
  });

  it('goes on serving others whatever bytes one sends', async () => {
    const good = await open();
    const valid = message([body({ find: 'things', filter: { a: { $gt: 1 } }, $db: 'test' })]);
    const broken = fc
      .tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(valid.length))
      .map(([at, byte, end]) => {
        const copy = Buffer.from(valid);
        copy[at] = byte;
        return copy.subarray(0, end);
      });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          broken,
          fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
        ),
        async (bytes) => {
          const bad = await open();
          bad
            .on('error', () => undefined)
            .resume()
            .end(bytes);
          expect(await ask(good, message([body(PING)]))).toMatchObject({ ok: { value: 1 } });
        },
      ),
      { numRuns: 150 },
    );
  }, 30_000);

  it('tells a command it does not know, and goes on', async () => {
    const socket = await open();
    expect(await ask(socket, message([body({ mapReduce: 'a', $db: 'test' })]))).toMatchObject({
      code: { value: 59 },
      codeName: 'CommandNotFound',
    });
    expect(await ask(socket, message([body(PING)]))).toMatchObject({ ok: { value: 1 } });
  });
});
