package settings

// HelpText is what --help prints.
const HelpText = `snapshotd saves and resumes conversation snapshots. It is an MCP server on
standard input and output: a client or the Snapgate gateway starts it.

Usage:
  snapshotd [serve] [flags]
  snapshotd <command> [flags]

Flags, with the environment variable that says the same (flags win):
  --db <file>      SNAPSHOT_DB_PATH       one SQLite file for all snapshots, or
       <address>                          postgres://user@host/database for
                                          rows in PostgreSQL, by user with
                                          trusted-meta; a password is better in
                                          the variable or in ~/.pgpass
  --data <folder>  SNAPSHOT_DB_BASE_PATH  one file for each user, as
                                          <folder>/<user>/snapshots.db;
                                          needs --auth trusted-meta
  --auth <mode>    MCP_AUTH_MODE          who may call (default: disabled)
                     disabled       whoever started the server: local use
                     trusted-meta   whom the Snapgate gateway vouches for, by
                                    the scopes of their token
  --version                               print the version
  --help                                  print this text

Quotas of each user; 0, the default, is no limit:
  --max-snapshots <n>          SNAPSHOT_MAX_SNAPSHOTS
  --max-bytes <size>           SNAPSHOT_MAX_BYTES           of all texts: 10MB, 1GiB
  --max-snapshot-bytes <size>  SNAPSHOT_MAX_SNAPSHOT_BYTES  of one snapshot

Retention, applied by each save; 0, the default, keeps all:
  --keep-days <n>    SNAPSHOT_KEEP_DAYS    delete what is older
  --keep-count <n>   SNAPSHOT_KEEP_COUNT   keep so many of the newest
  --prune-named      SNAPSHOT_PRUNE_NAMED  snapshots with a name, too (true or
                                           false); without it they stay

With --data:
  --max-open-files <n>  SNAPSHOT_MAX_OPEN_FILES  users' files open at once
                                                 (default: 200)

Without --db and --data the data is in
  Linux    ~/.local/share/claude-snapshots
  macOS    ~/.claude-snapshots
  Windows  %APPDATA%\claude-snapshots
in the file snapshots.db, or with trusted-meta in the folder users.

With trusted-meta and --db the file belongs to the first user who calls, and
everyone else is refused. PostgreSQL takes any number of users.

Exit status: 0 at the end of input and on SIGTERM or SIGINT, 1 if the database
cannot be opened or the output fails, 2 if the settings are wrong.
`
