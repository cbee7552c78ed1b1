-- Backwards these give the newest first without sorting: an index ends in the id.
CREATE INDEX snapshotd_newest ON snapshots(created_at);
CREATE INDEX snapshotd_unnamed ON snapshots(created_at) WHERE coalesce(name, '') = '';
CREATE INDEX snapshotd_named ON snapshots(name, created_at) WHERE name IS NOT NULL;
-- Of 0001, and now of no use. The original makes its own again if it has any.
DROP INDEX IF EXISTS idx_snapshots_created_at;
DROP INDEX IF EXISTS idx_snapshots_name;

-- Words of all snapshots. The text stays in the table snapshots alone. Beginnings of up
-- to three characters have an index, or else "a*" would merge the lists of all such words.
CREATE VIRTUAL TABLE snapshotd_words USING fts5(
  name, summary, context, next_steps,
  content = 'snapshots', content_rowid = 'id',
  tokenize = "unicode61 remove_diacritics 2", prefix = '1 2 3'
);

-- Groups of three characters, of the snapshots that have letters of scripts without
-- spaces. Each text is followed by two spaces, so that its last two characters begin
-- a group, too.
CREATE VIRTUAL TABLE snapshotd_trigrams USING fts5(
  name, summary, context, next_steps, content = '', tokenize = 'trigram'
);
CREATE VIRTUAL TABLE snapshotd_trigram_terms USING fts5vocab(snapshotd_trigrams, 'row');

CREATE TABLE snapshotd_usage (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  snapshots INTEGER NOT NULL,
  named INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  last_write TEXT
);

-- The letters are those of store.Unspaced. Most texts are told apart by having as
-- many bytes as characters, which is quick.
CREATE VIEW snapshotd_unspaced AS
SELECT id, coalesce(name, '') || '  ' AS name, summary || '  ' AS summary,
  context || '  ' AS context, coalesce(next_steps, '') || '  ' AS next_steps
FROM snapshots
WHERE length(CAST(coalesce(name, '') || summary || context || coalesce(next_steps, '') AS BLOB))
    <> length(coalesce(name, '') || summary || context || coalesce(next_steps, ''))
  AND coalesce(name, '') || summary || context || coalesce(next_steps, '')
    GLOB '*[' || char(
      0x0E00, 0x2D, 0x109F, 0x1100, 0x2D, 0x11FF, 0x1780, 0x2D, 0x17FF,
      0x3040, 0x2D, 0x318F, 0x31A0, 0x2D, 0x31FF, 0x3400, 0x2D, 0x4DBF,
      0x4E00, 0x2D, 0x9FFF, 0xAC00, 0x2D, 0xD7FF, 0xF900, 0x2D, 0xFAFF,
      0xFF66, 0x2D, 0xFFDC, 0x20000, 0x2D, 0x3FFFF) || ']*';

CREATE TRIGGER snapshotd_added AFTER INSERT ON snapshots BEGIN
  INSERT INTO snapshotd_words(rowid, name, summary, context, next_steps)
    VALUES (new.id, new.name, new.summary, new.context, new.next_steps);
  INSERT INTO snapshotd_trigrams(rowid, name, summary, context, next_steps)
    SELECT id, name, summary, context, next_steps FROM snapshotd_unspaced WHERE id = new.id;
  UPDATE snapshotd_usage SET last_write = datetime('now'),
    snapshots = snapshots + 1, named = named + (coalesce(new.name, '') <> ''),
    bytes = bytes + length(CAST(coalesce(new.name, '') AS BLOB)) + length(CAST(new.summary AS BLOB))
      + length(CAST(new.context AS BLOB)) + length(CAST(coalesce(new.next_steps, '') AS BLOB));
END;

CREATE TRIGGER snapshotd_removed BEFORE DELETE ON snapshots BEGIN
  INSERT INTO snapshotd_words(snapshotd_words, rowid, name, summary, context, next_steps)
    VALUES ('delete', old.id, old.name, old.summary, old.context, old.next_steps);
  INSERT INTO snapshotd_trigrams(snapshotd_trigrams, rowid, name, summary, context, next_steps)
    SELECT 'delete', id, name, summary, context, next_steps FROM snapshotd_unspaced WHERE id = old.id;
  UPDATE snapshotd_usage SET last_write = datetime('now'),
    snapshots = snapshots - 1, named = named - (coalesce(old.name, '') <> ''),
    bytes = bytes - length(CAST(coalesce(old.name, '') AS BLOB)) - length(CAST(old.summary AS BLOB))
      - length(CAST(old.context AS BLOB)) - length(CAST(coalesce(old.next_steps, '') AS BLOB));
END;

CREATE TRIGGER snapshotd_changing BEFORE UPDATE OF id, name, summary, context, next_steps ON snapshots BEGIN
  INSERT INTO snapshotd_words(snapshotd_words, rowid, name, summary, context, next_steps)
    VALUES ('delete', old.id, old.name, old.summary, old.context, old.next_steps);
  INSERT INTO snapshotd_trigrams(snapshotd_trigrams, rowid, name, summary, context, next_steps)
    SELECT 'delete', id, name, summary, context, next_steps FROM snapshotd_unspaced WHERE id = old.id;
  UPDATE snapshotd_usage SET last_write = datetime('now'),
    named = named - (coalesce(old.name, '') <> ''),
    bytes = bytes - length(CAST(coalesce(old.name, '') AS BLOB)) - length(CAST(old.summary AS BLOB))
      - length(CAST(old.context AS BLOB)) - length(CAST(coalesce(old.next_steps, '') AS BLOB));
END;

CREATE TRIGGER snapshotd_changed AFTER UPDATE OF id, name, summary, context, next_steps ON snapshots BEGIN
  INSERT INTO snapshotd_words(rowid, name, summary, context, next_steps)
    VALUES (new.id, new.name, new.summary, new.context, new.next_steps);
  INSERT INTO snapshotd_trigrams(rowid, name, summary, context, next_steps)
    SELECT id, name, summary, context, next_steps FROM snapshotd_unspaced WHERE id = new.id;
  UPDATE snapshotd_usage SET named = named + (coalesce(new.name, '') <> ''),
    bytes = bytes + length(CAST(coalesce(new.name, '') AS BLOB)) + length(CAST(new.summary AS BLOB))
      + length(CAST(new.context AS BLOB)) + length(CAST(coalesce(new.next_steps, '') AS BLOB));
END;

INSERT INTO snapshotd_usage
SELECT 1, count(*), count(nullif(name, '')), coalesce(sum(length(CAST(coalesce(name, '') AS BLOB)) + length(CAST(summary AS BLOB))
  + length(CAST(context AS BLOB)) + length(CAST(coalesce(next_steps, '') AS BLOB))), 0), max(created_at)
FROM snapshots;
INSERT INTO snapshotd_words(snapshotd_words) VALUES ('rebuild');
INSERT INTO snapshotd_trigrams(rowid, name, summary, context, next_steps)
SELECT id, name, summary, context, next_steps FROM snapshotd_unspaced;
