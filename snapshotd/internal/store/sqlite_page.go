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
	conditions, args, err := s.conditions(ctx, filter)
	if err != nil || conditions == nil {
		return Page{}, err
	}
	if cursor != "" {
		after, err := ParsePageCursor(cursor)
		if err != nil {
			return Page{}, err
		}
		conditions = append(conditions, `(created_at, id) < (?, ?)`)
		args = append(args, after.CreatedAt, after.ID)
	}
	entries, err := s.entries(ctx, "list snapshots",
		` WHERE `+strings.Join(conditions, ` AND `)+newestFirst+`LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return Page{}, err
	}
	if len(entries) <= limit {
		return Page{Entries: entries}, nil
	}
	entries = entries[:limit]
	return Page{Entries: entries, Next: PageCursor(entries[limit-1].Saved).String()}, nil
}

// conditions are those of a filter in SQL, nil if nothing can pass it.
func (s *SQLite) conditions(ctx context.Context, filter Filter) (conditions []string, args []any, err error) {
	add := func(condition string, values ...any) {
		conditions = append(conditions, condition)
		args = append(args, values...)
	}
	add(`true`)
	if filter.Name != "" {
		add(`name = ?`, filter.Name)
	}
	if filter.NamePrefix != "" {
		add(`name >= ? AND name < ?`, filter.NamePrefix, afterPrefix(filter.NamePrefix))
	}
	if !filter.From.IsZero() {
		add(`created_at >= ?`, wholeSecond(filter.From))
	}
	if !filter.To.IsZero() {
		add(`created_at < ?`, wholeSecond(filter.To))
	}
	if filter.Text == "" {
		return conditions, args, nil
	}
	query, err := ParseQuery(filter.Text)
	if err != nil {
		return nil, nil, err
	}
	match, err := s.match(ctx, query)
	if err != nil || match.expression == "" {
		return nil, nil, err
	}
	add(`id IN (SELECT rowid FROM `+match.table+` WHERE `+match.table+` MATCH ?)`, match.expression)
	return conditions, args, nil
}

// afterPrefix is above every string that begins with the prefix, and below all that
// are above these: UTF-8 has no byte 0xFF.
func afterPrefix(prefix string) string { return prefix + "\xFF" }

// wholeSecond is the first whole second at or after t, as creation times are stored.
func wholeSecond(t time.Time) string {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		t = whole.Add(time.Second)
	}
	return t.UTC().Format(time.DateTime)
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
