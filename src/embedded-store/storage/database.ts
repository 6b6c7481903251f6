import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CommandError } from '../command-error.js';
import { type Doc, decode, encode } from '../query/bson-types.js';
import { Collection } from './collection.js';
import { type IndexSpec, StoredIndex } from './stored-index.js';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS collections (id INTEGER PRIMARY KEY AUTOINCREMENT, ns TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE IF NOT EXISTS indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, spec BLOB NOT NULL, multikey TEXT NOT NULL DEFAULT '[]'
  ) STRICT;`;

/** Layout of the tables; a file with a higher one was written by a later program. */
const FORMAT_VERSION = 1;

const ID_INDEX: IndexSpec = { v: 2, key: { _id: 1 }, name: '_id_', unique: true };

/** The SQLite file and the catalog of collections and indexes in it. One connection, one thread. */
export class Database {
  private readonly sqlite: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();
  private readonly collections = new Map<string, Collection>();

  constructor(path: string) {
    this.sqlite = new DatabaseSync(path);
    try {
      // The exclusive mode keeps the WAL index in memory and other processes out, whatever became of the lock file.
      this.sqlite.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000;`);
      const { user_version: version } = this.sqlite.prepare('PRAGMA user_version').get() as { user_version: number };
      if (version > FORMAT_VERSION) {
        throw new Error(
          `the store ${path} has format ${version}, written by a later version of this program, which reads up to ${FORMAT_VERSION}`,
        );
      }
      this.sqlite.exec(`${SCHEMA} PRAGMA user_version = ${FORMAT_VERSION};`);
      this.load();
    } catch (error) {
      this.sqlite.close();
      throw error;
    }
  }

  /** A prepared statement, kept for the next use. */
  statement(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.sqlite.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  exec(sql: string): void {
    this.sqlite.exec(sql);
  }

  get isInTransaction(): boolean {
    return this.sqlite.isTransaction;
  }

  /** Reads the catalog again: after a rollback memory may know of collections that the file does not. */
  load(): void {
    this.collections.clear();
    for (const row of this.statement('SELECT id, ns FROM collections').all() as Array<{ id: number; ns: string }>) {
      const collection = new Collection(this, row.id, row.ns);
      this.collections.set(row.ns, collection);
      const indexes = this.statement('SELECT id, spec, multikey FROM indexes WHERE collection = ? ORDER BY id').all(
        row.id,
      );
      for (const index of indexes as Array<{ id: number; spec: Uint8Array; multikey: string }>) {
        const multikey = JSON.parse(index.multikey) as number[];
        collection.indexes.push(new StoredIndex(index.id, specFrom(decode(index.spec)), multikey));
      }
    }
  }

  find(ns: string): Collection | undefined {
    return this.collections.get(ns);
  }

  list(database: string): Collection[] {
    return [...this.collections.values()].filter(({ ns }) => ns.startsWith(`${database}.`));
  }

  all(): Collection[] {
    return [...this.collections.values()];
  }

  /** The collection, made with its `_id` index if there is none. Throws InvalidNamespace (73) for a name MongoDB refuses. */
  ensure(ns: string): Collection {
    const existing = this.collections.get(ns);
    if (existing) return existing;
    const name = ns.slice(ns.indexOf('.') + 1);
    if (
      name === '' ||
      name.includes('$') ||
      name.includes('\0') ||
      name.startsWith('system.') ||
      Buffer.byteLength(ns) > 255
    ) {
      throw new CommandError(73, `invalid collection name: ${name}`);
    }
    const id = Number(this.statement('INSERT INTO collections (ns) VALUES (?)').run(ns).lastInsertRowid);
    this.exec(`CREATE TABLE d${id} (rid INTEGER PRIMARY KEY, doc BLOB NOT NULL) STRICT`);
    const collection = new Collection(this, id, ns);
    this.collections.set(ns, collection);
    this.addIndex(collection, ID_INDEX);
    return collection;
  }

  /** Makes the index and fills it from the documents there are. Throws DuplicateKey when they break its uniqueness. */
  addIndex(collection: Collection, spec: IndexSpec): StoredIndex {
    const stored = encode(spec as unknown as Doc);
    const row = this.statement('INSERT INTO indexes (collection, spec) VALUES (?, ?)').run(collection.id, stored);
    const index = new StoredIndex(Number(row.lastInsertRowid), spec, []);
    this.exec(
      `CREATE TABLE ${index.table} (key BLOB NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (key, rid)) STRICT, WITHOUT ROWID`,
    );
    collection.fill(index);
    collection.indexes.push(index);
    return index;
  }

  dropIndex(collection: Collection, index: StoredIndex): void {
    this.statement('DELETE FROM indexes WHERE id = ?').run(index.id);
    collection.indexes.splice(collection.indexes.indexOf(index), 1);
    this.dropTable(index.table);
  }

  drop(collection: Collection): void {
    this.statement('DELETE FROM collections WHERE id = ?').run(collection.id);
    for (const index of collection.indexes.slice()) this.dropIndex(collection, index);
    this.dropTable(`d${collection.id}`);
    this.collections.delete(collection.ns);
  }

  private dropTable(table: string): void {
    // SQLite refuses to drop a table that a kept statement still reads.
    this.statements.clear();
    this.exec(`DROP TABLE ${table}`);
  }

  close(): void {
    this.statements.clear();
    this.sqlite.close();
  }
}

function specFrom(doc: Doc): IndexSpec {
  const key = Object.fromEntries(
    Object.entries(doc.key as Doc).map(([path, direction]) => [path, Number(direction) < 0 ? -1 : 1]),
  );
  const ttl = doc.expireAfterSeconds === undefined ? {} : { expireAfterSeconds: Number(doc.expireAfterSeconds) };
  return { ...(doc as unknown as IndexSpec), v: 2, key: key as Record<string, 1 | -1>, ...ttl };
}
