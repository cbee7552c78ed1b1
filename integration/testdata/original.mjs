// Works on a file as the earlier snapshot server did: with its library, better-sqlite3, its
// settings and its table. Each line of input is an operation, each line of output its answer.
// With SQLITE=node it uses the SQLite within Node.js instead.
import { createInterface } from 'node:readline';

// How long it waits for a lock, in milliseconds: longer than the library's five seconds, for which a
// machine that is busy may hold up whoever has the lock.
const timeout = 30_000;

const db = await (process.env.SQLITE === 'node' ? within : library)(process.argv[2]);

async function library(file) {
  const { default: Database } = await import('better-sqlite3');
  return new Database(file, { timeout });
}

// What is used here of the library, by Node's own.
async function within(file) {
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA busy_timeout = ${timeout}`);
  db.pragma = (text, { simple = false } = {}) => {
    const rows = db.prepare(`PRAGMA ${text}`).all();
    return simple ? Object.values(rows[0])[0] : rows;
  };
  return db;
}

db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`
  CREATE TABLE IF NOT EXISTS snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT,
    summary TEXT NOT NULL,
    context TEXT NOT NULL,
    next_steps TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
  );
  CREATE INDEX IF NOT EXISTS idx_snapshots_created_at ON snapshots(created_at DESC);
  CREATE INDEX IF NOT EXISTS idx_snapshots_name ON snapshots(name) WHERE name IS NOT NULL;
`);

// Its first version had no continuation_prompt.
const first = process.argv[3] === 'first';
if (!first && !db.pragma('table_info(snapshots)').some((column) => column.name === 'continuation_prompt')) {
  db.exec(`ALTER TABLE snapshots ADD COLUMN continuation_prompt TEXT NOT NULL DEFAULT ''`);
}

const insert = first
  ? db.prepare('INSERT INTO snapshots (name, summary, context, next_steps) VALUES (@name, @summary, @context, @next)')
  : db.prepare(`INSERT INTO snapshots (name, summary, context, next_steps, continuation_prompt)
      VALUES (@name, @summary, @context, @next, @prompt)`);
const newest = db.prepare('SELECT * FROM snapshots ORDER BY created_at DESC, id DESC LIMIT 1');
const named = db.prepare('SELECT * FROM snapshots WHERE name = ? ORDER BY created_at DESC, id DESC LIMIT 1');
const list = db.prepare('SELECT id, name, summary FROM snapshots ORDER BY created_at DESC, id DESC LIMIT ?');
const remove = db.prepare('DELETE FROM snapshots WHERE id = ?');

const operations = {
  save: ({ name = null, summary, context, next = null }) => {
    const prompt = `Resuming: ${summary}\n\nContext:\n${context}${next ? `\n\nNext:\n${next}` : ''}`;
    const values = { name, summary, context, next };
    return Number(insert.run(first ? values : { ...values, prompt }).lastInsertRowid);
  },
  load: ({ name }) => (name ? named.get(name) : newest.get()) ?? null,
  list: ({ limit = 100 }) => list.all(limit),
  delete: ({ id }) => remove.run(id).changes,
  integrity: () => db.pragma('integrity_check', { simple: true }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = { result: operations[request.op](request) };
  } catch (error) {
    answer = { error: `${error.code}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
db.close();
