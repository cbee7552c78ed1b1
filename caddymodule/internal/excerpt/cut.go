// Package excerpt cuts from the answers of a server over HTTP what their reader may not use,
// while they pass: entries of lists, and reports of resources.
//
// Whatever is neither of these passes byte for byte, and an event of a stream as soon as it
// is whole. What cannot be read, or would have to be kept for too long, does not pass.
package excerpt

import (
	"bytes"
	"errors"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/visibility"
)

// Cut says what is withheld of the answer to one request.
type Cut struct {
	// ID is the raw id of the request; nil if it is none, as a GET.
	ID []byte
	// Lists are those whose entries are withheld if they are not visible. A result is such a
	// list if it has its member, whatever was asked for: whoever resumes a stream gets the
	// results of other requests, and whoever sends two requests with one id may get them
	// exchanged.
	Lists []visibility.List
	// Updates says that reports of resources are withheld if they are not visible.
	Updates bool
	// Visible says what the reader may use.
	Visible visibility.Func
}

// errWithheld is the answer to the server behind where the gateway answers itself.
var errWithheld = errors.New("the answer is withheld from the client")

// whole says whether an answer that is no event stream has to be read, too. One that is gives
// nothing but a result.
func (c *Cut) whole() bool { return len(c.Lists) > 0 }

// judge reads one message. It returns the message as it may pass, or nil if that is as it is;
// whether it may pass at all; and why it cannot be read.
func (c *Cut) judge(data []byte) (edited []byte, passes bool, err error) {
	m, err := message.Parse(data, 0)
	if err != nil {
		return nil, false, err
	}
	if c.Updates && !visibility.MayHear(c.Visible, m) {
		return nil, false, nil
	}
	if len(c.Lists) == 0 || !m.Result.Present() {
		return nil, true, nil
	}
	edit := m.Edit()
	for _, list := range c.Lists {
		if list.In(m) {
			list.Cut(edit, c.Visible)
		}
	}
	if edited = edit.Bytes(); bytes.Equal(edited, m.Raw) {
		return nil, true, nil
	}
	return edited, true, nil
}

// answers says whether what cannot be read is meant as the answer to the request. A server of
// MCP 2025-03-26 may put it into an array.
func (c *Cut) answers(data []byte) bool {
	if c.ID == nil {
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("[")) || message.IDKey(message.LooseID(data)) == message.IDKey(c.ID)
}
