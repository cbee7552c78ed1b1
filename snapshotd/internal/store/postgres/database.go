package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

const (
	// defaultConnections is how many connections a process has at most, unless the
	// address says pool_max_conns.
	defaultConnections = 8
	// userShare is the part of them that one user may hold: a fourth, but at least one.
	userShare = 4
	// idleConnection is how long an unused connection stays open, unless the address
	// says pool_max_conn_idle_time.
	idleConnection = time.Minute
	// closePatience is how long Close waits for connections to end.
	closePatience = 2 * time.Second
	// statementTimeout ends a statement that takes longer. It is set in each
	// transaction, where it also passes through a pooler such as PgBouncer.
	statementTimeout = 30 * time.Second
)

// localOwner is the owner of the rows of the one local user. No user's key has
// parentheses in it. It is not "", which is what a setting is that nobody has made.
const localOwner = "(local)"

// Options say how to open a database. The zero Options are fine.
type Options struct {
	store.Settings
	// Logger hears of what makes the storage less safe. Nil is silence.
	Logger *slog.Logger
}

// Database is a [store.Provider] of all users in one PostgreSQL database.
type Database struct {
	pool     *pgxpool.Pool
	settings store.Settings
	shares   shares

	closing context.Context // ends with the database
	cancel  context.CancelFunc

	mu    sync.Mutex
	known map[string]store.Owner // whose rows have been made or compared, by key
}

// Open connects to the server and brings the schema up to date. A newer schema is
// refused ([store.ErrNewer]). No error holds the password.
func Open(ctx context.Context, address string, options Options) (*Database, error) {
	config, err := parse(address)
	if err != nil {
		return nil, err
	}
	given := config.ConnConfig.Config.RuntimeParams
	if given["application_name"] == "" {
		given["application_name"] = "snapshotd"
	}
	query := settingsOf(address)
	if !query.Has("pool_max_conns") {
		config.MaxConns = defaultConnections
	}
	if !query.Has("pool_max_conn_idle_time") {
		config.MaxConnIdleTime = idleConnection
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	d := &Database{
		pool: pool, settings: options.Settings, known: make(map[string]store.Owner),
		shares: shares{limit: max(1, int(config.MaxConns)/userShare)},
	}
	if d.settings.Now == nil {
		d.settings.Now = time.Now
	}
	d.closing, d.cancel = context.WithCancel(context.Background())
	logger := options.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if err := d.prepare(ctx, logger); err != nil {
		pool.Close()
		return nil, wrap("open database "+Place(address), err)
	}
	return d, nil
}

func (d *Database) prepare(ctx context.Context, logger *slog.Logger) error {
	if err := d.checkEncoding(ctx); err != nil {
		return err
	}
	if err := d.migrate(ctx); err != nil {
		return err
	}
	return d.secure(ctx, logger)
}

// checkEncoding refuses a database that cannot hold every text.
func (d *Database) checkEncoding(ctx context.Context) error {
	var encoding string
	if err := d.pool.QueryRow(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s, and must be UTF8: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	return nil
}

// local is the store of the one local user, which is all of the database to them.
type local struct{ *Store }

// Close closes the database.
func (l local) Close() error { return l.database.Close() }

// Local returns the store of the one local user. To close it is to close the database.
func (d *Database) Local(ctx context.Context) (store.Store, error) {
	s := &Store{database: d, owner: localOwner}
	if err := s.claim(ctx, store.Owner{User: localOwner}); err != nil {
		return nil, wrap("open database", err)
	}
	return local{s}, nil
}

// Close implements [store.Provider]. Calls in flight are cancelled.
func (d *Database) Close() error {
	d.cancel()
	closed := make(chan struct{})
	go func() { // ends within pgx's own bounds when a server does not answer
		defer close(closed)
		d.pool.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(closePatience):
		return fmt.Errorf("close database: %w", store.ErrUnavailable)
	}
}

// isClosed is asked before each transaction.
func (d *Database) isClosed() bool { return d.closing.Err() != nil }
