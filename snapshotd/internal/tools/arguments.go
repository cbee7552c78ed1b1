package tools

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
)

// parseArguments reads a call's arguments. Absent and null stand for {}.
func parseArguments(raw json.RawMessage) (jsjson.Value, error) {
	if len(raw) == 0 {
		return jsjson.Value{}, nil
	}
	arguments, err := jsjson.Parse(raw)
	if err != nil {
		return jsjson.Value{}, invalid("arguments must be valid JSON")
	}
	if kind := arguments.Kind(); kind != jsjson.Object && kind != jsjson.Null {
		return jsjson.Value{}, invalid("arguments must be an object")
	}
	return arguments, nil
}

// optionalText reads a string that may be absent; then it is "".
func optionalText(arguments jsjson.Value, name string) (string, error) {
	v := arguments.Get(name)
	switch v.Kind() {
	case jsjson.Null, jsjson.String:
		return v.Text(), nil
	default:
		return "", invalid(name + " must be a string")
	}
}

// requiredText reads a string that must be there.
func requiredText(arguments jsjson.Value, name string) (string, error) {
	text, err := optionalText(arguments, name)
	if err == nil && text == "" {
		return "", missing("Missing required field", name+" is required")
	}
	return text, err
}

// pageLimit reads the argument limit of a tool with pages.
func pageLimit(arguments jsjson.Value, most, unsaid int) (int, error) {
	v := arguments.Get("limit")
	switch v.Kind() {
	case jsjson.Null:
		return unsaid, nil
	case jsjson.Number:
		if f := v.Float(); f == math.Trunc(f) && f >= 1 && f <= float64(most) {
			return int(f), nil
		}
	}
	return 0, invalid(fmt.Sprintf("limit must be a whole number from 1 to %d", most))
}

// timeLayouts are the forms of a time, in UTC where they have no offset.
var timeLayouts = []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// optionalTime reads a time that may be absent; then it is zero.
func optionalTime(arguments jsjson.Value, name string) (time.Time, error) {
	text, err := optionalText(arguments, name)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, invalid(name + " must be a date such as 2025-10-26, or a date and time such as 2025-10-26T12:00:00Z")
}

// absent says whether JavaScript takes the value for false, which is how the
// original asks whether a required argument came.
func absent(v jsjson.Value) bool {
	switch v.Kind() {
	case jsjson.Null:
		return true
	case jsjson.String:
		return v.Text() == ""
	case jsjson.Number:
		return v.Float() == 0
	case jsjson.Bool:
		return v.Compact() == "false"
	default:
		return false
	}
}

// snapshotID is an id as it came. SQLite compares an INTEGER column with 5.0 and
// with '5' as with 5, and finds nothing for 5.5 or 'x'; so does this.
type snapshotID struct {
	text  string // for messages, as JavaScript prints it
	value int64
	whole bool // value is an id that could exist
}

// optionalID reads the argument id. It returns nil if there is none.
func optionalID(arguments jsjson.Value) (*snapshotID, error) {
	v := arguments.Get("id")
	switch v.Kind() {
	case jsjson.Null:
		return nil, nil
	case jsjson.Number:
		id := &snapshotID{text: jsjson.FormatNumber(v.Float())}
		id.value, id.whole = wholeNumber(v.Float())
		return id, nil
	case jsjson.String:
		text := v.Text()
		if text == "" {
			return nil, nil
		}
		id := &snapshotID{text: text}
		id.value, id.whole = wholeText(text)
		return id, nil
	default:
		return nil, invalid("id must be a number")
	}
}

// wholeNumber is false for fractions and for what no id can be.
func wholeNumber(f float64) (int64, bool) {
	if f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// wholeText reads a whole number from text in any of the forms that SQLite's
// numeric affinity takes (https://www.sqlite.org/datatype3.html section 3).
func wholeText(text string) (int64, bool) {
	text = strings.Trim(text, " \t\n\v\f\r")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return 0, false // ParseFloat also takes hexadecimals, underscores, inf and nan
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, false
	}
	return wholeNumber(f)
}

// defaultLimit is how many snapshots a list has if nothing is said.
const defaultLimit = 100

// listLimit reads the argument limit. 0 is as if absent, as it is to the original;
// below 0 there is no limit, as in SQLite.
func listLimit(arguments jsjson.Value) (int64, error) {
	v := arguments.Get("limit")
	if absent(v) {
		return defaultLimit, nil
	}
	switch v.Kind() {
	case jsjson.Number:
		f := v.Float()
		if f != math.Trunc(f) {
			return 0, invalid("limit must be a whole number")
		}
		return int64(max(min(f, 1<<62), -1)), nil
	case jsjson.String:
		if n, ok := wholeText(v.Text()); ok {
			return n, nil
		}
	}
	return 0, invalid("limit must be a whole number")
}
