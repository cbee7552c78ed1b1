package install

import (
	"bytes"
	"errors"
	"strings"
)

// verify holds a plan that edits a file to what it promises: the entry is there, or is not,
// and everything else says what it said. The file is its user's and may be written in ways
// that nobody has thought of, so a plan that does more is refused rather than carried out.
func (p Plan) verify(there bool) error {
	before, err := p.otherThanEntry(p.Before)
	if err != nil {
		return err
	}
	after, err := p.otherThanEntry(p.After)
	if err != nil || before != after || p.hasEntry(p.After) != there {
		return errors.Join(errors.New(p.File+" cannot be edited without changing more than the entry: change it by hand"), err)
	}
	return nil
}

// otherThanEntry writes a document without white space and comments, and without the entry,
// nor the object of servers if it has nothing else.
func (p Plan) otherThanEntry(data []byte) (string, error) {
	root, err := parse(document(data))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("{")
	for _, m := range root.members {
		if m.key.text != p.Client.servers {
			writeMember(&b, data, m)
			continue
		}
		var servers strings.Builder
		for _, server := range m.value.members {
			if server.key.text != p.Name {
				writeMember(&servers, data, server)
			}
		}
		if servers.Len() > 0 {
			b.WriteString(quote(m.key.text) + ":{" + servers.String() + "},")
		}
	}
	return b.String() + "}", nil
}

func writeMember(b *strings.Builder, data []byte, m member) {
	b.WriteString(quote(m.key.text) + ":")
	writeValue(b, data, m.value)
	b.WriteString(",")
}

func writeValue(b *strings.Builder, data []byte, n node) {
	switch n.kind {
	case object:
		b.WriteString("{")
		for _, m := range n.members {
			writeMember(b, data, m)
		}
		b.WriteString("}")
	case array:
		b.WriteString("[")
		for _, item := range n.items {
			writeValue(b, data, item)
			b.WriteString(",")
		}
		b.WriteString("]")
	default:
		b.Write(data[n.start:n.end])
	}
}

// hasEntry says whether a document has an entry of the plan's name.
func (p Plan) hasEntry(data []byte) bool {
	root, err := parse(document(data))
	if err != nil {
		return false
	}
	servers, err := root.find(p.Client.servers)
	if err != nil || servers < 0 {
		return false
	}
	place, err := root.members[servers].value.find(p.Name)
	return err == nil && place >= 0
}

// document is what a file holds, or what one holds that is empty or not there.
func document(data []byte) []byte {
	text, marked := bytes.CutPrefix(data, []byte(byteOrderMark))
	switch {
	case len(bytes.TrimSpace(text)) > 0:
		return data
	case marked:
		return []byte(byteOrderMark + "{}\n")
	}
	return []byte("{}\n")
}
