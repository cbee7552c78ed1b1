package store

import (
	"errors"

	"modernc.org/sqlite"
)

// Reason is what may be told to a client of an error of this package: what the
// database says, without the server's paths. It is "" if there is nothing to tell.
func Reason(err error) string {
	for _, known := range []error{ErrNewer, ErrForeign, ErrClosed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		return failure.Error()
	}
	return ""
}
