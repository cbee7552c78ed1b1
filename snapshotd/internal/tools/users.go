package tools

import (
	"context"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// How many users a page has at most, and if nothing is said.
const (
	maxUsers     = 500
	defaultUsers = 100
)

// users is the structured answer of list_users.
type users struct {
	Users      []listedUser `json:"users"`
	NextCursor string       `json:"next_cursor,omitempty"`
}

type listedUser struct {
	User      string `json:"user"`
	Issuer    string `json:"issuer,omitempty"`
	Subject   string `json:"subject,omitempty"`
	Snapshots int64  `json:"snapshots"`
	Bytes     int64  `json:"bytes"`
	LastWrite string `json:"last_write,omitempty"`
	Problem   string `json:"problem,omitempty"`
}

// listUsers lists a page of users. The cursor is the key of the last one before.
func listUsers(ctx context.Context, stores store.Provider, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	after, limit, err := pageOf(arguments, maxUsers, defaultUsers)
	if err != nil {
		return nil, err
	}
	page, err := stores.Users(ctx, after, limit+1) // one more says whether there is more
	if err != nil {
		return nil, storageFailure(err)
	}
	next := ""
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].User
	}
	structured := users{Users: make([]listedUser, len(page)), NextCursor: next}
	lines := make([]string, len(page))
	for i, u := range page {
		structured.Users[i] = listedUser{
			User: u.User, Issuer: u.Issuer, Subject: u.Subject,
			Snapshots: u.Snapshots, Bytes: u.Bytes, LastWrite: u.LastWrite, Problem: u.Problem,
		}
		lines[i] = userLine(u)
	}
	if len(page) == 0 {
		return textResult("No users found.", structured), nil
	}
	return textResult(strings.Join(lines, "\n")+more(next), structured), nil
}

func userLine(u store.User) string {
	line := u.User
	if u.Subject != "" {
		line += fmt.Sprintf(" (%s at %s)", oneLine(u.Subject), oneLine(u.Issuer))
	}
	if u.Problem != "" {
		return line + " - " + oneLine(u.Problem)
	}
	line += fmt.Sprintf(" - %d snapshots, %d bytes", u.Snapshots, u.Bytes)
	if u.LastWrite != "" {
		line += " [" + u.LastWrite + "]"
	}
	return line
}
