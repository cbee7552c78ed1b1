package store

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Filter selects snapshots. The zero Filter selects all; what is set must all hold.
type Filter struct {
	Name       string    // exactly this name, if not ""
	NamePrefix string    // names that begin with it, case-sensitively, if not ""
	Text       string    // a query as for [Store.Search], if not ""
	From       time.Time // created then or later, if not zero
	To         time.Time // created before, if not zero
}

// Page is a part of a list.
type Page struct {
	Entries []Entry
	Next    string // the cursor of the next page; "" if this is the last
}

// PageOf is a page of entries, which are one more than the limit if there is another.
func PageOf(entries []Entry, limit int) Page {
	if len(entries) <= limit {
		return Page{Entries: entries}
	}
	entries = entries[:limit]
	return Page{Entries: entries, Next: PageCursor(entries[limit-1].Saved).String()}
}

// PageCursor is the place of a snapshot in the order of creation. It stands on the
// last snapshot of a page rather than on a number of them, so that it stays right
// while snapshots are added and deleted.
type PageCursor Saved

// String is the cursor as clients carry it.
func (c PageCursor) String() string {
	return encodeCursor("p", c.CreatedAt, strconv.FormatInt(c.ID, 10))
}

// ParsePageCursor reads what String wrote. Its error is [ErrCursor].
func ParsePageCursor(text string) (PageCursor, error) {
	parts, err := decodeCursor("p", text)
	if err != nil {
		return PageCursor{}, err
	}
	id, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return PageCursor{}, ErrCursor
	}
	return PageCursor{CreatedAt: parts[0], ID: id}, nil
}

// SearchCursor is a place in the results of a search.
type SearchCursor struct {
	Newest int64 // snapshots with a higher id came after the first page, and are left out
	Offset int64 // results that came before
}

// String is the cursor as clients carry it.
func (c SearchCursor) String() string {
	return encodeCursor("s", strconv.FormatInt(c.Newest, 10), strconv.FormatInt(c.Offset, 10))
}

// ParseSearchCursor reads what String wrote. Its error is [ErrCursor].
func ParseSearchCursor(text string) (SearchCursor, error) {
	parts, err := decodeCursor("s", text)
	if err != nil {
		return SearchCursor{}, err
	}
	newest, errNewest := strconv.ParseInt(parts[0], 10, 64)
	offset, errOffset := strconv.ParseInt(parts[1], 10, 64)
	if errNewest != nil || errOffset != nil || newest < 0 || offset < 0 {
		return SearchCursor{}, ErrCursor
	}
	return SearchCursor{Newest: newest, Offset: offset}, nil
}

// encodeCursor makes two fields opaque: a client that took them apart would depend
// on them. The second has no line break.
func encodeCursor(kind, first, second string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + "\n" + first + "\n" + second))
}

func decodeCursor(kind, text string) ([]string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrCursor
	}
	fields, ours := strings.CutPrefix(string(raw), kind+"\n")
	end := strings.LastIndexByte(fields, '\n')
	if !ours || end < 0 {
		return nil, ErrCursor
	}
	return []string{fields[:end], fields[end+1:]}, nil
}

// CheckLimit holds a limit within what one call may return.
func CheckLimit(limit int) error {
	if limit < 1 || limit > MaxPage {
		return fmt.Errorf("%w: limit %d, which may be from 1 to %d", ErrInvalid, limit, MaxPage)
	}
	return nil
}
