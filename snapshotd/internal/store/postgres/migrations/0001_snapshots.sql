-- A row a user. It is locked by each write of its user, holds the totals, and gives out
-- the ids, which so begin with 1 for everybody.
CREATE TABLE IF NOT EXISTS snapshotd_users (
  owner TEXT PRIMARY KEY CHECK (owner <> ''),
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  last_id BIGINT NOT NULL DEFAULT 0,
  snapshots BIGINT NOT NULL DEFAULT 0,
  named BIGINT NOT NULL DEFAULT 0,
  bytes BIGINT NOT NULL DEFAULT 0,
  words BIGINT NOT NULL DEFAULT 0,
  last_write TIMESTAMPTZ,
  -- The last write: how many there were, and a random number of its own, by which a
  -- writer whose connection broke learns whether it took place.
  writes BIGINT NOT NULL DEFAULT 0,
  written BIGINT NOT NULL DEFAULT 0
);

-- name_start is the first bytes of the name. Bytes have one order on all servers, and
-- few of them fit into any index.
CREATE TABLE IF NOT EXISTS snapshotd_snapshots (
  owner TEXT NOT NULL CHECK (owner <> ''),
  id BIGINT NOT NULL CHECK (id > 0),
  name TEXT NOT NULL,
  name_start BYTEA NOT NULL,
  summary TEXT NOT NULL,
  context TEXT NOT NULL,
  next_steps TEXT NOT NULL,
  continuation_prompt TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  words BIGINT NOT NULL,
  PRIMARY KEY (owner, id)
);
CREATE INDEX IF NOT EXISTS snapshotd_newest ON snapshotd_snapshots (owner, created_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS snapshotd_named ON snapshotd_snapshots (owner, name_start, created_at DESC, id DESC);

-- The search index: where in a snapshot a word stands. title says whether it stands in
-- the name or the summary.
CREATE TABLE IF NOT EXISTS snapshotd_words (
  owner TEXT NOT NULL CHECK (owner <> ''),
  snapshot BIGINT NOT NULL,
  word BYTEA NOT NULL,
  title BOOLEAN NOT NULL,
  places BYTEA NOT NULL,
  PRIMARY KEY (owner, snapshot, word)
);
CREATE INDEX IF NOT EXISTS snapshotd_postings ON snapshotd_words (owner, word, snapshot);
CREATE INDEX IF NOT EXISTS snapshotd_titles ON snapshotd_words (owner, word, snapshot) WHERE title;
