-- Each statement may be made again, so that what was broken off is made at the next start.
-- The policies come first and are switched on last, because they are looked for by that:
-- without a transaction, as some servers change a schema, tables may be left in between, and
-- with security on and no policies nobody would see anything.
DROP POLICY IF EXISTS snapshotd_own ON snapshotd_users;
CREATE POLICY snapshotd_own ON snapshotd_users
  USING (owner = current_setting('snapshotd.owner', true))
  WITH CHECK (owner = current_setting('snapshotd.owner', true));
DROP POLICY IF EXISTS snapshotd_own ON snapshotd_snapshots;
CREATE POLICY snapshotd_own ON snapshotd_snapshots
  USING (owner = current_setting('snapshotd.owner', true))
  WITH CHECK (owner = current_setting('snapshotd.owner', true));
DROP POLICY IF EXISTS snapshotd_own ON snapshotd_words;
CREATE POLICY snapshotd_own ON snapshotd_words
  USING (owner = current_setting('snapshotd.owner', true))
  WITH CHECK (owner = current_setting('snapshotd.owner', true));

-- Only the list of users may be read across users.
DROP POLICY IF EXISTS snapshotd_list ON snapshotd_users;
CREATE POLICY snapshotd_list ON snapshotd_users FOR SELECT
  USING (current_setting('snapshotd.list_users', true) = 'yes');

ALTER TABLE snapshotd_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE snapshotd_users FORCE ROW LEVEL SECURITY;
ALTER TABLE snapshotd_snapshots ENABLE ROW LEVEL SECURITY;
ALTER TABLE snapshotd_snapshots FORCE ROW LEVEL SECURITY;
ALTER TABLE snapshotd_words ENABLE ROW LEVEL SECURITY;
ALTER TABLE snapshotd_words FORCE ROW LEVEL SECURITY;
