import { serialize } from 'bson';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Log, Engine } from '../engine.js';
import { type Doc, decode, encode } from '../query/bson-types.js';
import { GroupCommit } from '../storage/group-commit.js';
import type { Slice } from '../storage/limits.js';

/** The store without its thread and socket: commands in, answers and counters out, with a clock that the test moves. */
export class EngineHarness {
  readonly engine: Engine;
  readonly commits: GroupCommit;
  readonly logged: Array<Parameters<Log>[0]> = [];
  now = Date.UTC(2030, 0, 1);
  private readonly folder = mkdtempSync(join(tmpdir(), 'store-engine-'));

  constructor(slice?: Slice) {
    const clock = { now: () => this.now, monotonic: () => this.now };
    this.engine = new Engine(join(this.folder, 'store.sqlite'), clock, (line) => this.logged.push(line), slice);
    this.commits = new GroupCommit(this.engine.database);
  }

  /** Queues a command as a connection would; the answer comes with the next flush. */
  submit(name: string, body: Doc): Promise<Doc> {
    // Through BSON and back, so that numbers have the types that arrive from a driver.
    const request = decode(encode({ [name]: 'things', ...body }));
    const sequences = new Map<string, Uint8Array[]>();
    if (Array.isArray(request.documents)) sequences.set('documents', (request.documents as Doc[]).map(encode));
    const command = { name, database: 'test', body: request, sequences };
    return new Promise((resolve) => {
      this.commits.submit({
        writes: this.engine.writes(command),
        run: this.engine.prepare(command),
        fail: (error) => this.engine.failure(error, name),
        done: (reply) => resolve(decode(reply)),
      });
    });
  }

  async run(name: string, body: Doc): Promise<Doc> {
    const reply = this.submit(name, body);
    while (this.commits.flush());
    return reply;
  }

  async insert(documents: Doc[]): Promise<Doc> {
    return this.run('insert', { documents });
  }

  /** Inserts one document with a text of any length, past this harness's own size check. */
  async submitBytes(text: string): Promise<Doc> {
    const bytes = serialize({ _id: 1, text });
    const command = {
      name: 'insert',
      database: 'test',
      body: { insert: 'things' },
      sequences: new Map([['documents', [bytes]]]),
    };
    return decode(this.engine.prepare(command)() as Uint8Array);
  }

  async index(key: Doc, options: Doc = {}): Promise<Doc> {
    const name = Object.entries(key).flat().join('_');
    return this.run('createIndexes', { indexes: [{ key, name, ...options }] });
  }

  /** The documents of a find, with plain numbers. */
  async find(body: Doc): Promise<Doc[]> {
    const { cursor, errmsg } = (await this.run('find', body)) as { cursor?: { firstBatch: Doc[] }; errmsg?: string };
    if (!cursor) throw new Error(errmsg);
    return cursor.firstBatch;
  }

  close(): void {
    this.commits.drain();
    this.engine.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
