package postgres

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5/pgxpool"
)

// parse reads a connection string. Its error holds no part of a password.
func parse(address string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(address)
	if err == nil {
		return config, nil
	}
	form := errors.New("no valid PostgreSQL address: it must be postgres://user:password@host:port/database?sslmode=verify-full, with special characters of the password percent-encoded")
	u, malformed := url.Parse(address)
	if malformed != nil {
		return nil, form // the detail may be a part of the password
	}
	// What is wrong without the password can be told.
	query := u.Query()
	query.Del("password")
	query.Del("sslpassword")
	u.RawQuery = query.Encode()
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	if _, err := pgxpool.ParseConfig(u.String()); err != nil {
		return nil, fmt.Errorf("%w (%w)", form, err)
	}
	return nil, form
}

// settingsOf are the settings in the query of an address, none if it is malformed.
func settingsOf(address string) url.Values {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return u.Query()
}

// Place names a database in messages: host and name, no user, no password.
func Place(address string) string {
	config, err := parse(address)
	if err != nil {
		return "PostgreSQL"
	}
	return fmt.Sprintf("%s:%d/%s", config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Database)
}
