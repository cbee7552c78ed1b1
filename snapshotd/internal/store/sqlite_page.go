package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// Page implements [Store].
func (s *SQLite) Page(ctx context.Context, filter Filter, cursor string, limit int) (Page, error) {
	if err := CheckLimit(limit); err != nil {
		return Page{}, err
	}
	where := conditions(filter)
	if cursor != "" {
		after, err := ParsePageCursor(cursor)
		if err != nil {
			return Page{}, err
		}
		where.after(after)
	}
	if filter.Text != "" {
		return s.pageOfText(ctx, filter.Text, where, limit)
	}
	entries, err := s.entries(ctx, where.sql()+newestFirst+`LIMIT ?`, append(where.args, limit+1)...)
	if err != nil {
		return Page{}, err
	}
	return PageOf(entries, limit), nil
}

// where are conditions in SQL that must all hold.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, values ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, values...)
}

// after adds that a snapshot comes after another in the order of pages.
func (w *where) after(place PageCursor) {
	w.add(`(created_at, id) < (?, ?)`, place.CreatedAt, place.ID)
}

func (w *where) sql() string { return ` WHERE ` + strings.Join(w.conditions, ` AND `) }

// conditions are those of a filter, its text excepted.
func conditions(filter Filter) *where {
	w := &where{conditions: []string{`true`}}
	if filter.Name != "" {
		w.add(`name = ?`, filter.Name)
	}
	if filter.NamePrefix != "" {
		w.add(`name >= ? AND name < ?`, filter.NamePrefix, afterPrefix(filter.NamePrefix))
	}
	if !filter.From.IsZero() {
		w.add(`created_at >= ?`, wholeSecond(filter.From))
	}
	if !filter.To.IsZero() {
		w.add(`created_at < ?`, wholeSecond(filter.To))
	}
	return w
}

// afterPrefix is above every string that begins with the prefix, and below all that
// are above these: UTF-8 has no byte 0xFF.
func afterPrefix(prefix string) string { return prefix + "\xFF" }

// wholeSecond is the first whole second at or after t, as creation times are stored.
func wholeSecond(t time.Time) string {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		t = whole.Add(time.Second)
	}
	if t = t.UTC(); t.Year() > 9999 { // by its zone; four digits keep times in order
		return "9999-12-31 23:59:60"
	}
	return t.Format(time.DateTime)
}

// Names implements [Store].
func (s *SQLite) Names(ctx context.Context, prefix string, limit int) ([]string, error) {
	if err := CheckLimit(limit); err != nil {
		return nil, err
	}
	return collect(ctx, s.db, "list names", func(rows *sql.Rows) (name string, err error) {
		return name, rows.Scan(&name)
	}, `SELECT name FROM snapshots WHERE name >= ? AND name < ? AND name <> ''
		GROUP BY name ORDER BY max(created_at) DESC, max(id) DESC LIMIT ?`, prefix, afterPrefix(prefix), limit)
}
