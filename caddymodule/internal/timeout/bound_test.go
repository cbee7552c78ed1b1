package timeout

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// connection notes the deadlines that are set on it, and knows no other methods.
type connection struct {
	http.ResponseWriter
	read, write []time.Time
}

func (c *connection) SetReadDeadline(t time.Time) error  { c.read = append(c.read, t); return nil }
func (c *connection) SetWriteDeadline(t time.Time) error { c.write = append(c.write, t); return nil }

func TestWhatTakesTooLongIsEndedByADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(time.Second)
		fault := errors.New("too late")
		var c connection
		for name, row := range map[string]struct {
			takes time.Duration
			err   error
			want  []time.Time
		}{
			"in time":            {999 * time.Millisecond, nil, nil},
			"failed in time":     {0, fault, nil},
			"late":               {1001 * time.Millisecond, fault, []time.Time{Past}},
			"at the last moment": {1001 * time.Millisecond, nil, []time.Time{Past, {}}},
		} {
			c.read, c.write = nil, nil
			do := func() error { time.Sleep(row.takes); return row.err }
			if err := q.Read(&c, do); err != row.err || !slices.Equal(c.read, row.want) || c.write != nil {
				t.Errorf("read %s: %v, deadlines %v %v", name, err, c.read, c.write)
			}
			c.read = nil
			if err := q.Write(&c, do); err != row.err || !slices.Equal(c.write, row.want) || c.read != nil {
				t.Errorf("write %s: %v, deadlines %v %v", name, err, c.read, c.write)
			}
		}
	})
}

// What ends one is used again for the next, which may be on another connection.
func TestDeadlineIsForTheConnectionInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(time.Second)
		var first, second connection
		for range 100 {
			_ = q.Read(&first, func() error { return nil })
		}
		_ = q.Read(&second, func() error { time.Sleep(2 * time.Second); return nil })
		if len(first.read) != 0 || len(second.read) != 2 {
			t.Errorf("deadlines %v %v", first.read, second.read)
		}
	})
}

// A handler that panics (http.ErrAbortHandler) leaves no deadline for a connection that is
// another request's by then, or nobody's.
func TestAPanicEndsItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(time.Second)
		var c connection
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Error("the panic is lost")
				}
			}()
			_ = q.Write(&c, func() error { panic(http.ErrAbortHandler) })
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(c.write) != 0 {
			t.Errorf("deadlines %v", c.write)
		}
	})
}
