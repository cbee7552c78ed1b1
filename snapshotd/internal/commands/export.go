package commands

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/snapgate/snapgate/snapshotd/internal/portable"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func exportCommand() command {
	return command{
		name:    "export",
		summary: "write snapshots as JSON Lines or Markdown",
		usage:   "[flags]",
		help: `One snapshot a line, or a section, in the order of their ids. JSON Lines can be
imported again, anywhere.

  --format <format>  jsonl (the default) or markdown
  --output <file>    a new file, mode 0600, instead of standard output; with --all
                     a folder, in which each user gets a file named by their key,
                     and the local one of PostgreSQL "local"

` + placeHelp + userHelp + allHelp,
		define: func(c *call) {
			c.definePlace()
			c.defineUser()
			c.text("format", "output")
			c.toggle("all")
		},
		run: export,
	}
}

// exported is one export.
type exported struct {
	User      string `json:"user,omitempty"`
	File      string `json:"file"`
	Snapshots int64  `json:"snapshots"`
}

type writeSnapshot func(io.Writer, store.Snapshot) error

func (c *call) format() (write writeSnapshot, ending string, err error) {
	switch format := c.value("format"); format {
	case "", "jsonl":
		return portable.WriteLine, ".jsonl", nil
	case "markdown":
		return portable.WriteMarkdown, ".md", nil
	default:
		return nil, "", wrong("--format is %q: it must be jsonl or markdown", format)
	}
}

func export(ctx context.Context, c *call) error {
	if _, err := c.arguments(); err != nil {
		return err
	}
	write, ending, err := c.format()
	if err != nil {
		return err
	}
	output := c.value("output")
	if output == "" && (c.json || c.is("all")) {
		return wrong("--json and --all need --output: without it standard output is the export itself")
	}
	homes, err := c.homes(ctx)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.end()
	done, failures, err := each(ctx, c, homes, func(h home, _ string) (exported, error) {
		file := output
		if c.is("all") {
			file = filepath.Join(output, cmp.Or(h.key, "local")+ending)
		}
		n, err := c.exportOne(ctx, h, file, write, shown)
		return exported{User: h.key, File: file, Snapshots: n}, err
	})
	if err != nil || output == "" {
		return err
	}
	shown.end()
	result := struct {
		Exports []exported `json:"exports"`
		Failed  []failure  `json:"failed,omitempty"`
	}{done, failures}
	if c.is("all") {
		return c.answer(result, "Exported %s to %s", count(len(done), "user"), output)
	}
	return c.answer(result, "Exported %s to %s", count(done[0].Snapshots, "snapshot"), output)
}

// exportOne writes one home to a new file, or to standard output if it has no name.
func (c *call) exportOne(ctx context.Context, h home, file string, write writeSnapshot, shown *progress) (n int64, err error) {
	s, err := h.open(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	out := c.Out
	if file != "" {
		if c.is("all") {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return 0, err
			}
		}
		created, failed := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if failed != nil {
			return 0, failed
		}
		defer func() { // what is not whole does not stay
			if err = errors.Join(err, created.Sync(), created.Close()); err != nil {
				err = errors.Join(err, os.Remove(file))
			}
		}()
		out = created
	}
	buffered := bufio.NewWriter(out)
	for snapshot, err := range store.Each(ctx, s, 0) {
		if err != nil {
			return n, err
		}
		if err := write(buffered, snapshot); err != nil {
			return n, fmt.Errorf("write the export: %w", err)
		}
		n++
		shown.show("%s: %s", h, count(n, "snapshot"))
	}
	if err := buffered.Flush(); err != nil {
		return n, fmt.Errorf("write the export: %w", err)
	}
	return n, nil
}
