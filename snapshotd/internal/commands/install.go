package commands

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/install"
	"github.com/snapgate/snapgate/snapshotd/internal/settings"
)

// defaultName is the name of the entry in a client's configuration.
const defaultName = "snapshots"

// passed are the flags that go into the entry as they are.
var passed = []string{"db", "max-snapshots", "max-bytes", "max-snapshot-bytes", "keep-days", "keep-count", "prune-named"}

func clientsHelp() string {
	return `  --client <client>  ` + strings.Join(install.Names(), ", ") + `; may be repeated;
                     without it, all that are found
  --name <name>      the name of the entry (default: ` + defaultName + `)
  --dry-run          only show what would change
`
}

func installCommand() command {
	return command{
		name:    "install",
		summary: "enter snapshotd into the configuration of MCP clients",
		usage:   "[flags]",
		help: `It shows each change as a diff, copies the file to <file>.before-snapshotd, and
changes nothing but its own entry. Run again, it changes nothing, or what it is told.

` + clientsHelp() + `  --replace          put snapshotd in the place of an entry of another server, such
                     as the TypeScript original, whose database it keeps

These go into the entry: --db, --max-snapshots, --max-bytes, --max-snapshot-bytes,
--keep-days, --keep-count, --prune-named; see snapshotd --help.
`,
		define: func(c *call) {
			defineClients(c)
			c.toggle("replace")
			c.flags.DefinePlace()
			c.flags.DefineLimits()
			c.flags.DefineRetention()
		},
		run: runInstall,
	}
}

func uninstallCommand() command {
	return command{
		name:    "uninstall",
		summary: "take snapshotd out of the configuration of MCP clients",
		usage:   "[flags]",
		help: `A file that nobody has changed since is again as it was, byte for byte. In one that
was changed, the entry alone is taken out, or the one that it replaced is put back. An
entry that does not start snapshotd any more is left alone. No snapshot is deleted.

` + clientsHelp(),
		define: func(c *call) { defineClients(c) },
		run:    runUninstall,
	}
}

func defineClients(c *call) {
	c.flags.Func("client", "", func(name string) error {
		c.clients = append(c.clients, name)
		return nil
	})
	c.text("name")
	c.toggle("dry-run")
}

// changed is what became of one client's configuration.
type changed struct {
	Client string         `json:"client"`
	File   string         `json:"file,omitempty"`
	Name   string         `json:"name,omitempty"`
	Status install.Status `json:"status"`
	Backup string         `json:"backup,omitempty"`
	Note   string         `json:"note,omitempty"`
	Diff   string         `json:"diff,omitempty"`
	Error  string         `json:"error,omitempty"`
}

func runInstall(_ context.Context, c *call) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	return c.change(func(client install.Client, _ *install.Records) (install.Plan, error) {
		return install.Install(client, c.System, request)
	})
}

func runUninstall(_ context.Context, c *call) error {
	program, err := c.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return c.change(func(client install.Client, records *install.Records) (install.Plan, error) {
		return install.Uninstall(client, c.System, records, program, c.value("name"), defaultName)
	})
}

// request reads what to install.
func (c *call) request() (install.Request, error) {
	if c.flags.Given("data") {
		return install.Request{}, wrong("--data is for a server behind the gateway, which tells it who calls; a client on this machine starts one for its user, with --db")
	}
	if _, err := c.flags.Limits(); err != nil {
		return install.Request{}, usageError{err}
	}
	if _, err := c.flags.Retention(); err != nil {
		return install.Request{}, usageError{err}
	}
	program, err := c.program()
	if err != nil {
		return install.Request{}, err
	}
	request := install.Request{Name: c.value("name"), Entry: install.Entry{Command: program}, Replace: c.is("replace")}
	if request.Name == "" {
		request.Name = defaultName
	}
	for _, name := range passed {
		if !c.flags.Given(name) {
			continue
		}
		value := c.flags.Lookup(name).Value.String()
		switch name {
		case "db":
			if value == "" {
				return request, wrong("--db needs a value")
			}
			if settings.IsServer(value) {
				return request, wrong("--db is the address of a server, whose password would stand in the client's configuration: give the client SNAPSHOT_DB_PATH in its environment instead")
			}
			// The client starts the server in a folder of its own.
			if value, err = filepath.Abs(value); err != nil {
				return request, err
			}
			request.Database = value
		case "prune-named":
			request.Entry.Args = append(request.Entry.Args, "--prune-named="+value)
			continue
		}
		request.Entry.Args = append(request.Entry.Args, "--"+name, value)
	}
	return request, nil
}

// program is the path of this program, which must last.
func (c *call) program() (string, error) {
	path, err := c.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if strings.HasPrefix(path, filepath.Join(os.TempDir(), "go-build")) {
		return "", fmt.Errorf("%s goes with the command that built it: go install it first, and run that", path)
	}
	return path, nil
}

// change plans and makes a change for each client.
func (c *call) change(plan func(install.Client, *install.Records) (install.Plan, error)) error {
	if _, err := c.arguments(); err != nil {
		return err
	}
	clients, err := install.Choose(c.clients, c.System)
	if err != nil {
		return usageError{err}
	}
	if len(clients) == 0 {
		return fmt.Errorf("no client was found; name one by --client: %s", strings.Join(install.Names(), ", "))
	}
	folder, err := settings.DefaultFolder(c.System)
	if err != nil {
		return err
	}
	records, err := install.ReadRecords(folder)
	if err != nil {
		return err
	}
	var all []changed
	var texts []string
	for _, client := range clients {
		one := c.changeOne(client, records, plan)
		all, texts = append(all, one), append(texts, one.text(client, c.is("dry-run")))
	}
	return c.answer(struct {
		Clients []changed `json:"clients"`
		DryRun  bool      `json:"dry_run"`
	}{all, c.is("dry-run")}, "%s", strings.Join(texts, "\n"))
}

func (c *call) changeOne(client install.Client, records *install.Records, make func(install.Client, *install.Records) (install.Plan, error)) changed {
	one := changed{Client: client.Name}
	plan, err := make(client, records)
	if err == nil {
		one.File, one.Name, one.Status, one.Note, one.Diff = plan.File, plan.Name, plan.Status, plan.Note, plan.Diff()
		if !c.is("dry-run") {
			one.Backup, err = plan.Do(records)
		}
	}
	if err != nil {
		one.Status, one.Error = "refused", err.Error()
		c.status = Failed
	}
	return one
}

func (o changed) text(client install.Client, dry bool) string {
	var b strings.Builder
	if o.Error != "" {
		return client.Title + ": " + o.Error
	}
	status := string(o.Status)
	if dry && o.Diff != "" {
		status = "would be " + status
	}
	fmt.Fprintf(&b, "%s: %s: %q in %s", client.Title, status, o.Name, o.File)
	if o.Note != "" {
		fmt.Fprintf(&b, "\n%s", o.Note)
	}
	if o.Backup != "" {
		fmt.Fprintf(&b, "\nThe file as it was before is %s", o.Backup)
	}
	if o.Diff != "" {
		fmt.Fprintf(&b, "\n%s", strings.TrimSuffix(o.Diff, "\n"))
	}
	return b.String()
}
