package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// The SQLSTATEs that decide something here (PostgreSQL, Appendix A).
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeDiskFull      = "53100"
	codeConnections   = "53300"
	codeReadOnly      = "25006"
	codeLocked        = "55P03"
	codeCanceled      = "57014" // by statement_timeout, if not by us
	codeDuplicate     = "23505"
	codeTableExists   = "42P07"
	codeTypeExists    = "42710" // each table has a type of its name
	codeNoTable       = "42P01"
	codePrivilege     = "42501"
	codeUnsupported   = "0A000"
	codeSyntax        = "42601"
	codeNoFunction    = "42883"
	codePreparedTwice = "42P05"
	codeNotPrepared   = "26000"
)

// poolerAdvice is for a pooler that gives each transaction another connection, and does not
// see to it that the statements are there that were prepared on the one before.
const poolerAdvice = "a pooler stands between that keeps no prepared statements: add default_query_exec_mode=exec to the address"

// codeOf is the SQLSTATE of an error, "" if the server did not make it.
func codeOf(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}

// wrap says what was being done when the server or the connection failed, and of what
// kind the failure is. What has a kind already, or is the context's, keeps it.
func wrap(doing string, err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, store.ErrUncertain) { // and not the kind of what broke
		return fmt.Errorf("%s: %w", doing, err)
	}
	if kind := kindOf(err); kind != nil && !errors.Is(err, kind) {
		return fmt.Errorf("%s: %w (%w)", doing, kind, err)
	}
	if code := codeOf(err); code == codePreparedTwice || code == codeNotPrepared {
		return fmt.Errorf("%s: %w (%s)", doing, err, poolerAdvice)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func kindOf(err error) error {
	switch code := codeOf(err); {
	case code == codeDiskFull:
		return store.ErrFull
	case code == codeReadOnly:
		return store.ErrReadOnly
	case code == codeSerialization, code == codeDeadlock, code == codeLocked, code == codeCanceled, code == codeConnections:
		return store.ErrBusy
	case strings.HasPrefix(code, "XX0"): // XX001 and XX002: damaged data, damaged index
		if code != "XX000" {
			return store.ErrCorrupt
		}
	case isBroken(err):
		return store.ErrUnavailable
	}
	return nil
}

// isRepeatable says whether a transaction that failed so may pass if it is made again.
func isRepeatable(err error) bool {
	switch codeOf(err) {
	case codeSerialization, codeDeadlock, codeConnections:
		return true
	}
	return isBroken(err)
}

// isBroken says whether there is no connection, or not any more: the server is away,
// starts, stops, or fails over.
func isBroken(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if code := codeOf(err); code != "" {
		// Class 08: connection exceptions. 57P01 to 57P05: shut down, crashed, starting.
		return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P")
	}
	var dialed *pgconn.ConnectError
	var network net.Error
	return errors.Is(err, errNotWritten) || errors.As(err, &dialed) || errors.As(err, &network) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed") // pgconn has no name for it
}
