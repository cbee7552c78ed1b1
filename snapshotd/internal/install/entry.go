package install

import (
	"path/filepath"
	"slices"
	"strings"
)

// Entry is how a client starts the server.
type Entry struct {
	Command string   // an absolute path: clients have a PATH of their own
	Args    []string // may be empty
}

// text is the entry as the client wants it.
func (e Entry) text(c Client, s style) func(indent string) string {
	written := struct {
		Type    string   `json:"type,omitempty"`
		Command string   `json:"command"`
		Args    []string `json:"args"`
	}{"", e.Command, e.Args}
	if c.typed {
		written.Type = "stdio"
	}
	if written.Args == nil {
		written.Args = []string{}
	}
	return func(indent string) string {
		return strings.ReplaceAll(encode(written, indent, s.unit), "\n", s.newline)
	}
}

// found is an entry of a configuration.
type found struct {
	command string
	args    []string
	env     map[string]string
}

func read(n node) found {
	f := found{env: make(map[string]string)}
	for _, m := range n.members {
		switch m.key.text {
		case "command":
			f.command = m.value.text
		case "args":
			for _, item := range m.value.items {
				f.args = append(f.args, item.text)
			}
		case "env":
			for _, variable := range m.value.members {
				f.env[variable.key.text] = variable.value.text
			}
		}
	}
	return f
}

// program is the name of what an entry starts, without folder and ending.
func (f found) program() string {
	command := f.command[strings.LastIndexAny(f.command, `/\`)+1:]
	return strings.TrimSuffix(strings.ToLower(command), ".exe")
}

// ours says whether an entry starts snapshotd: by its name, or as the program at a path.
func (f found) ours(path string) bool { return f.program() == "snapshotd" || f.command == path }

// original says whether an entry starts the TypeScript server, and with which database:
// "" if the entry does not say. Its installer wrote the variable, and ran it from the
// folder that it is named after.
func (f found) original() (database string, is bool) {
	if !slices.Contains([]string{"node", "npx", "bun", "bunx", "deno", "tsx"}, f.program()) {
		return "", false
	}
	database = f.env["SNAPSHOT_DB_PATH"]
	named := slices.ContainsFunc(f.args, func(arg string) bool { return strings.Contains(arg, "claude-snapshots") })
	return database, database != "" || named
}

// uses says whether two names are of one database. One that is not known may be.
func uses(database, ours string) bool {
	return database == "" || ours == "" || filepath.Clean(database) == filepath.Clean(ours)
}
