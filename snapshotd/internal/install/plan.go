package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

// Request is what to install.
type Request struct {
	Name  string
	Entry Entry
	// Database is the file that the entry's arguments name; "" if they name none.
	Database string
	// Replace allows to replace an entry that does not start snapshotd.
	Replace bool
}

// Status is what a plan does, or did.
type Status string

// The statuses.
const (
	Installed Status = "installed"
	Updated   Status = "updated"   // an entry of snapshotd's
	Replaced  Status = "replaced"  // an entry of another server
	Unchanged Status = "unchanged" // it is there already
	Restored  Status = "restored"  // the file is byte for byte as it was before
	Removed   Status = "removed"   // the entry alone was taken out
	Absent    Status = "absent"    // there was nothing to take out
)

// Plan is one change of a client's configuration.
type Plan struct {
	Client Client
	File   string
	Status Status
	Name   string // of the entry
	Note   string // what else there is to say; may be ""
	// Before and After are the file's content. Exists and Remains say whether there is
	// a file before and after.
	Before, After   []byte
	Exists, Remains bool

	replaced string // the entry that After no longer has, as it was written
	lone     bool   // After has an object of servers only for the entry
	used     *record
}

// configuration is a client's file as it is.
type configuration struct {
	file    string
	data    []byte
	exists  bool
	root    node
	servers int // the place of the servers among root's members, or -1
}

// list returns the object of the servers. There must be one.
func (c configuration) list() node { return c.root.members[c.servers].value }

func (c Client) read(system settings.System) (configuration, error) {
	file, err := c.file(system)
	if err != nil {
		return configuration{}, err
	}
	conf := configuration{file: file, exists: true}
	if conf.data, err = os.ReadFile(file); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(file); err == nil {
			return conf, fmt.Errorf("%s is a link to a file that is not there: make that, or remove the link", file)
		}
		conf.exists = false
	} else if err != nil {
		return conf, err
	}
	if conf.root, err = parse(conf.text()); err != nil {
		return conf, fmt.Errorf("%s is no JSON that can be edited safely: %w; correct it, or add the entry by hand", file, err)
	}
	if conf.root.kind != object {
		return conf, fmt.Errorf("%s must hold an object, and does not: correct it", file)
	}
	if conf.servers, err = conf.root.find(c.servers); err != nil {
		return conf, fmt.Errorf("%s: %w", file, err)
	}
	if conf.servers >= 0 && conf.list().kind != object {
		return conf, fmt.Errorf("%s: %q must be an object, and is not: correct it", file, c.servers)
	}
	return conf, nil
}

// text is what is spliced.
func (c configuration) text() []byte { return document(c.data) }

// Install plans the entry of a client. What cannot be planned without changing anything else
// is an error.
func Install(c Client, system settings.System, want Request) (Plan, error) {
	plan, err := planInstall(c, system, want)
	if err == nil {
		err = plan.verify(true)
	}
	if err != nil {
		return Plan{}, err
	}
	return plan, nil
}

func planInstall(c Client, system settings.System, want Request) (Plan, error) {
	conf, err := c.read(system)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Client: c, File: conf.file, Name: want.Name, Before: conf.data, Exists: conf.exists, Remains: true, Status: Installed}
	style := styleOf(conf.text(), conf.root)
	if conf.servers < 0 {
		plan.lone = true
		plan.After = style.insert(conf.text(), conf.root, c.servers, func(indent string) string {
			inner := indent + style.unit
			return "{" + style.newline + inner + quote(want.Name) + ": " + want.Entry.text(c, style)(inner) + style.newline + indent + "}"
		})
		return plan, nil
	}
	place, err := choosePlace(conf.list(), want)
	if err != nil {
		return Plan{}, fmt.Errorf("%s: %w", conf.file, err)
	}
	if place < 0 {
		plan.After = style.insert(conf.text(), conf.list(), want.Name, want.Entry.text(c, style))
		return plan, nil
	}
	m := conf.list().members[place]
	plan.Name = m.key.text
	there := read(m.value)
	if there.ours(want.Entry.Command) {
		plan.After = update(conf.data, m.value, there, want.Entry, style)
		if plan.Status = Updated; bytes.Equal(plan.After, plan.Before) {
			plan.Status = Unchanged
		}
		return plan, nil
	}
	plan.Status = Replaced
	plan.replaced = string(conf.data[m.value.start:m.value.end])
	entry := want.Entry
	database, original := there.original()
	if original && database != "" && want.Database == "" {
		entry.Args = append(slices.Clone(entry.Args), "--db", database)
	}
	plan.Note = replacedNote(m.key.text, original, database)
	indent, _ := indentAt(conf.data, m.key.start)
	plan.After = apply(conf.data, splice{m.value.start, m.value.end, entry.text(c, style)(indent)})
	return plan, nil
}

func replacedNote(name string, original bool, database string) string {
	switch {
	case !original:
		return fmt.Sprintf("the entry %q of another server is replaced", name)
	case database == "":
		return fmt.Sprintf("the entry %q of the TypeScript server is replaced; it names no database, so see that --db is the right one", name)
	}
	return fmt.Sprintf("the entry %q of the TypeScript server is replaced; its database %s is kept", name, database)
}

// choosePlace returns the entry that is to be changed, or -1 to add one.
func choosePlace(servers node, want Request) (int, error) {
	place, err := servers.find(want.Name)
	if err != nil {
		return -1, err
	}
	if place >= 0 {
		if read(servers.members[place].value).ours(want.Entry.Command) || want.Replace {
			return place, nil
		}
		if _, original := read(servers.members[place].value).original(); !original {
			return -1, fmt.Errorf("the entry %q starts another server: choose another --name, or --replace it", want.Name)
		}
	} else {
		place = slices.IndexFunc(servers.members, func(m member) bool {
			database, original := read(m.value).original()
			return original && uses(database, want.Database)
		})
	}
	if place >= 0 && !want.Replace {
		return -1, fmt.Errorf("the entry %q starts the TypeScript server on the same database: --replace puts snapshotd in its place, and uninstall puts it back",
			servers.members[place].key.text)
	}
	return place, nil
}

// update changes command and arguments of an entry of snapshotd's, and leaves what else
// is in it. Without arguments to give, those that are there stay.
func update(data []byte, entry node, there found, want Entry, s style) []byte {
	list := func(indent string) string {
		return strings.ReplaceAll(encode(want.Args, indent, s.unit), "\n", s.newline)
	}
	var changes []splice
	hasArgs := false
	for _, m := range entry.members {
		switch {
		case m.key.text == "command" && there.command != want.Command:
			changes = append(changes, splice{m.value.start, m.value.end, quote(want.Command)})
		case m.key.text == "args":
			hasArgs = true
			if len(want.Args) > 0 && !slices.Equal(there.args, want.Args) {
				args := list("")
				if indent, alone := indentAt(data, m.key.start); alone {
					args = list(indent)
				} else {
					args = compact(args)
				}
				changes = append(changes, splice{m.value.start, m.value.end, args})
			}
		}
	}
	if !hasArgs && len(want.Args) > 0 {
		// Behind all members, so that their places stay those of the changes.
		data = s.insert(data, entry, "args", list)
	}
	return apply(data, changes...)
}

// path is the file itself, where the configured name may be a link.
func (p Plan) path() (string, error) {
	path, err := filepath.EvalSymlinks(p.File)
	if errors.Is(err, fs.ErrNotExist) && !p.Exists {
		return p.File, nil
	}
	return path, err
}
