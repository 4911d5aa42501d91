import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { NsmError } from '@nsm/rpc';
import type { Change } from './feed.ts';
import { endpointKind, serviceKind, type Entry, type Kind } from './kind.ts';
import { createTable } from './memory-store.ts';
import type { Store, Stores } from './store.ts';

/** Layout of the file; a file of a later version is not touched. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE NetworkService (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE NetworkServiceEndpoint (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE revision (last INTEGER NOT NULL);
  INSERT INTO revision VALUES (0);
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Stores that survive the process: an SQLite file, read into memory once. A write is acknowledged after the commit
 * that holds it has reached the disk; writes of one turn of the event loop share a commit. Fails with `unavailable`
 * where the file cannot be opened, is in use by another process, or was not written by this program.
 */
export function openSqliteStores(path: string): Stores {
  const file = openFile(path);
  const services = storeIn(file, serviceKind);
  const endpoints = storeIn(file, endpointKind);
  return {
    services,
    endpoints,
    close: async () => {
      await services.close();
      await endpoints.close();
      file.close();
    },
  };
}

function failure(path: string, cause: unknown): NsmError {
  const text = Error.isError(cause) ? cause.message : String(cause);
  return new NsmError('unavailable', `the registry cannot keep this in ${path}: ${text}`, {
    cause,
    hint: 'look at the space, the rights and the health of the disk that holds the file',
  });
}

/** A change that waits for its commit. */
interface Write {
  /** Makes it in the open transaction. */
  execute(revision: number): void;
  /** Makes it visible. */
  commit(revision: number): void;
  fail(error: NsmError): void;
}

/** The open file, with one queue of writes. */
interface File {
  readonly db: DatabaseSync;
  readonly path: string;
  write(write: Write): void;
  /** Commits what is waiting. */
  flush(): void;
  close(): void;
}

function openFile(path: string): File {
  const db = openDatabase(path);
  const setRevision = db.prepare('UPDATE revision SET last = ?');
  let revision = Number(db.prepare('SELECT last FROM revision').get()?.['last'] ?? 0);
  let waiting: Write[] = [];

  const commit = (writes: readonly Write[]): void => {
    const last = revision + writes.length;
    try {
      db.exec('BEGIN IMMEDIATE');
      for (const [i, write] of writes.entries()) write.execute(revision + i + 1);
      setRevision.run(last);
      db.exec('COMMIT');
    } catch (err) {
      // A failed commit may have ended the transaction already.
      if (db.isTransaction) db.exec('ROLLBACK');
      throw failure(path, err);
    }
    for (const [i, write] of writes.entries()) write.commit(revision + i + 1);
    revision = last;
  };
  const flush = (): void => {
    const writes = waiting;
    waiting = [];
    if (writes.length === 0) return;
    try {
      commit(writes);
    } catch (err) {
      for (const write of writes) write.fail(NsmError.from(err));
    }
  };
  return {
    db,
    path,
    write: (write) => {
      if (!db.isOpen) {
        write.fail(failure(path, 'it is closed'));
        return;
      }
      waiting.push(write);
      if (waiting.length === 1) setImmediate(flush);
    },
    flush,
    close: () => {
      flush();
      if (db.isOpen) db.close();
    },
  };
}

function openDatabase(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 0 });
    // Nobody else may write: what is in memory would be out of date.
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = FULL');
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
    if (version > SCHEMA_VERSION)
      throw new Error(
        `it has version ${version}, and this program knows none later than ${SCHEMA_VERSION}`,
      );
    db.exec('BEGIN EXCLUSIVE');
    if (version === 0) db.exec(SCHEMA);
    db.exec('COMMIT');
    return db;
  } catch (cause) {
    db?.close();
    const text = Error.isError(cause) ? cause.message : String(cause);
    throw new NsmError('unavailable', `${path}: the store cannot be opened: ${text}`, {
      cause,
      hint: 'a store belongs to one registry at a time; its folder has to exist and be writable',
    });
  }
}

function storeIn<T extends Entry>(file: File, kind: Kind<T>): Store<T> {
  const { db } = file;
  const table = createTable(kind);
  const put = db.prepare(
    `INSERT INTO ${kind.noun} VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, record = excluded.record`,
  );
  const remove = db.prepare(`DELETE FROM ${kind.noun} WHERE name = ?`);
  let revision = 0;
  for (const row of db.prepare(`SELECT name, revision, record FROM ${kind.noun}`).iterate()) {
    table.index.set(recordOf(row, kind, file.path));
    revision = Math.max(revision, Number(row['revision']));
  }

  const write = (
    execute: (at: number) => ReturnType<StatementSync['run']>,
    change: () => Change<T> | undefined,
  ): Promise<Change<T> | undefined> =>
    new Promise((resolve, reject) => {
      file.write({
        execute,
        commit: (at) => {
          const made = change();
          if (made) {
            revision = at;
            table.apply(made);
          }
          resolve(made);
        },
        fail: reject,
      });
    });

  return {
    get revision() {
      return revision;
    },
    get: (name) => table.get(name),
    list: () => table.list(),
    ownedBy: (owner) => table.ownedBy(owner),
    query: (query) => table.query(query),
    watch: (query) => table.watch(query),
    put: async (entry) => {
      const record = kind.codec.encode(entry).finish();
      await write(
        (at) => put.run(entry.name, at, record),
        () => ({ entry, deleted: false }),
      );
    },
    delete: async (name) => {
      const made = await write(
        () => remove.run(name),
        () => {
          const was = table.get(name);
          return was && { entry: was, deleted: true };
        },
      );
      return made?.entry;
    },
    close: async () => {
      file.flush();
      table.feed.close();
    },
  };
}

function recordOf<T>(row: Record<string, unknown>, kind: Kind<T & Entry>, path: string): T {
  try {
    return kind.codec.decode(row['record'] as Uint8Array);
  } catch (cause) {
    throw new NsmError(
      'unavailable',
      `${path}: the ${kind.noun} ${String(row['name'])} cannot be read`,
      { cause, hint: `delete the row, or restore the file from a copy` },
    );
  }
}
