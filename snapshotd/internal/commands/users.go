package commands

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

func usersCommand() command {
	return command{
		name:    "users",
		summary: "list users and what they have",
		usage:   "[flags]",
		help: `A line for each user: their key, which is the name of their folder, snapshots, bytes
of text, the time of the last write (UTC), and issuer and subject. Files are read
and not changed. The one user of a single file, or of a server in PostgreSQL without
--auth trusted-meta, has no key.

` + placeHelp,
		define: func(c *call) { c.definePlace() },
		run:    users,
	}
}

// listed is one user.
type listed struct {
	User      string `json:"user"`
	Issuer    string `json:"issuer"`
	Subject   string `json:"subject"`
	Snapshots int64  `json:"snapshots"`
	Bytes     int64  `json:"bytes"`
	LastWrite string `json:"last_write,omitempty"`
	Problem   string `json:"problem,omitempty"`
}

func users(ctx context.Context, c *call) error {
	if _, err := c.arguments(); err != nil {
		return err
	}
	place, err := c.place()
	if err != nil {
		return err
	}
	source, _, err := c.source(ctx, place)
	if err != nil {
		return err
	}
	all := []listed{}
	shown := c.newProgress()
	defer shown.end()
	err = eachUser(ctx, source, func(u store.User) error {
		all = append(all, listed{
			User: u.User, Issuer: u.Issuer, Subject: u.Subject,
			Snapshots: u.Snapshots, Bytes: u.Bytes, LastWrite: u.LastWrite, Problem: u.Problem,
		})
		shown.show("%s", count(len(all), "user"))
		return nil
	})
	if err != nil {
		return err
	}
	shown.end()
	return c.answer(struct {
		Users []listed `json:"users"`
	}{all}, "%s", usersTable(all))
}

func usersTable(all []listed) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "USER\tSNAPSHOTS\tBYTES\tLAST WRITE\tISSUER\tSUBJECT")
	for _, u := range all {
		if u.Problem != "" {
			fmt.Fprintf(table, "%s\t-\t-\t-\t%s\t\n", orDash(u.User), oneLine(u.Problem))
			continue
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\n", orDash(u.User), u.Snapshots, u.Bytes, orDash(u.LastWrite), orDash(oneLine(u.Issuer)), orDash(oneLine(u.Subject)))
	}
	table.Flush() //nolint:errcheck // a strings.Builder takes all
	return strings.TrimSuffix(b.String(), "\n")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// oneLine makes a text safe for a line of a table and for a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
