import type { StatementSync } from 'node:sqlite';
import { CommandError } from '../command-error.js';
import { type Doc, decode } from '../query/bson-types.js';
import { MISSING, someValue } from '../query/path.js';
import type { StoredIndex } from './stored-index.js';

interface IndexChange {
  readonly index: StoredIndex;
  readonly removed: Buffer[];
  readonly added: Buffer[];
}

const without = (keys: Buffer[], others: Buffer[]): Buffer[] =>
  others.length === 0 || keys.length === 0 ? keys : keys.filter((key) => !others.some((other) => other.equals(key)));

/** What a collection needs of its database: prepared statements, kept for the next use. */
export interface Statements {
  statement(sql: string): StatementSync;
}

/** The documents of one collection (table `d<id>`) and the upkeep of their index keys. Every change checks all uniqueness before it writes anything. */
export class Collection {
  readonly id: number;
  readonly ns: string;
  readonly indexes: StoredIndex[] = [];
  private readonly database: Statements;
  private readonly sql: {
    readonly get: string;
    readonly insert: string;
    readonly update: string;
    readonly remove: string;
  };

  constructor(database: Statements, id: number, ns: string) {
    this.database = database;
    this.id = id;
    this.ns = ns;
    this.sql = {
      get: `SELECT doc FROM d${id} WHERE rid = ?`,
      insert: `INSERT INTO d${id} (doc) VALUES (?)`,
      update: `UPDATE d${id} SET doc = ? WHERE rid = ?`,
      remove: `DELETE FROM d${id} WHERE rid = ?`,
    };
  }

  get name(): string {
    return this.ns.slice(this.ns.indexOf('.') + 1);
  }

  statement(sql: string): StatementSync {
    return this.database.statement(sql);
  }

  get(rid: number): Uint8Array | undefined {
    return this.statement(this.sql.get).get(rid)?.doc as Uint8Array | undefined;
  }

  /** Throws DuplicateKey (11000). */
  insert(doc: Doc, bytes: Uint8Array): void {
    const changes = this.changes(undefined, doc);
    this.refuseDuplicates(changes, doc, -1);
    const { lastInsertRowid } = this.statement(this.sql.insert).run(bytes);
    this.writeKeys(changes, Number(lastInsertRowid));
  }

  /** Throws DuplicateKey (11000). `before` is the document as stored. */
  replace(rid: number, before: Doc, after: Doc, bytes: Uint8Array): void {
    const changes = this.changes(before, after);
    this.refuseDuplicates(changes, after, rid);
    this.statement(this.sql.update).run(bytes, rid);
    this.writeKeys(changes, rid);
  }

  remove(rid: number, doc: Doc): void {
    this.statement(this.sql.remove).run(rid);
    this.writeKeys(this.changes(doc, undefined), rid);
  }

  count(): number {
    return (this.statement(`SELECT count(*) AS n FROM d${this.id}`).get() as { n: number }).n;
  }

  /** Adds the keys of every document to a new index. */
  fill(index: StoredIndex): void {
    const rows = this.statement(`SELECT rid, doc FROM d${this.id} WHERE rid > ? ORDER BY rid LIMIT 500`);
    for (let last = -1; ;) {
      const batch = rows.all(last) as Array<{ rid: number; doc: Uint8Array }>;
      for (const row of batch) {
        const doc = decode(row.doc);
        const changes = [this.change(index, undefined, doc)];
        this.refuseDuplicates(changes, doc, row.rid);
        this.writeKeys(changes, row.rid);
        last = row.rid;
      }
      if (batch.length < 500) return;
    }
  }

  /** Of the indexes whose keys the change may touch. */
  private changes(before: Doc | undefined, after: Doc | undefined): IndexChange[] {
    const changes: IndexChange[] = [];
    for (const index of this.indexes) {
      if (!before || !after || !index.isUntouched(before, after)) changes.push(this.change(index, before, after));
    }
    return changes;
  }

  private change(index: StoredIndex, before: Doc | undefined, after: Doc | undefined): IndexChange {
    const old = before ? index.keysOf(before) : undefined;
    const next = after ? index.keysOf(after) : undefined;
    if (next?.multikey.some((position) => !index.multikey.has(position))) {
      for (const position of next.multikey) index.multikey.add(position);
      this.statement('UPDATE indexes SET multikey = ? WHERE id = ?').run(JSON.stringify([...index.multikey]), index.id);
    }
    const [oldKeys, newKeys] = [old?.keys ?? [], next?.keys ?? []];
    return { index, removed: without(oldKeys, newKeys), added: without(newKeys, oldKeys) };
  }

  private refuseDuplicates(changes: IndexChange[], doc: Doc, rid: number): void {
    for (const { index, added } of changes) {
      if (index.spec.unique !== true || added.length === 0) continue;
      const existing = this.statement(index.sql.other);
      if (added.some((key) => existing.get(key, rid))) throw this.duplicate(index, doc);
    }
  }

  private duplicate(index: StoredIndex, doc: Doc): CommandError {
    const keyValue: Doc = {};
    for (const { path, parts } of index.fields) {
      keyValue[path] = null;
      someValue(doc, parts, (value) => ((keyValue[path] = value === MISSING ? null : value), true));
    }
    return new CommandError(
      11000,
      `E11000 duplicate key error collection: ${this.ns} index: ${index.spec.name} dup key: { ${index.fields.map(({ path }) => path).join(', ')} }`,
      { keyPattern: index.spec.key, keyValue },
    );
  }

  private writeKeys(changes: IndexChange[], rid: number): void {
    for (const { index, removed, added } of changes) {
      for (const key of removed) this.statement(index.sql.remove).run(key, rid);
      for (const key of added) this.statement(index.sql.insert).run(key, rid);
    }
  }
}
