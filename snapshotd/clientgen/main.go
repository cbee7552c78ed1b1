// Command clientgen writes a typed Go client for the tools of an MCP server on stdio, from
// the schemas that the server itself gives.
//
//	clientgen [-package name] [-o file] <command> [args...]
//	clientgen [-package name] [-o file] -tools list.json
//
// It starts the command, asks for its tools, and ends it; or it takes the result of a
// tools/list that someone else has asked for. See docs/code-execution.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// askTime is how long the server may take to start and to list its tools.
const askTime = time.Minute

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "clientgen:", err)
		os.Exit(1)
	}
}

func run(args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("clientgen", flag.ContinueOnError)
	flags.SetOutput(log)
	name := flags.String("package", "tools", "the `name` of the package to write")
	file := flags.String("o", "", "the `file` to write to; standard output if empty")
	list := flags.String("tools", "", "the `file` with the result of tools/list, in place of a command")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (*list == "") == (flags.NArg() == 0) {
		return errors.New("name either the command that starts the server, with its arguments, or a file by -tools")
	}
	read := func() ([]*mcp.Tool, error) { return readList(*list) }
	if *list == "" {
		read = func() ([]*mcp.Tool, error) { return ask(flags.Args(), log) }
	}
	tools, err := read()
	if err != nil {
		return err
	}
	source, err := generate(*name, tools)
	if err != nil {
		return err
	}
	if *file == "" {
		_, err = out.Write(source)
		return err
	}
	return os.WriteFile(*file, source, 0o644)
}

// readList reads the result of tools/list from a file.
func readList(file string) ([]*mcp.Tool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list struct{ Tools []*mcp.Tool }
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("%s must be the result of tools/list: %w", file, err)
	}
	if len(list.Tools) == 0 || slices.Contains(list.Tools, nil) {
		return nil, fmt.Errorf("%s must be the result of tools/list, and it lists no tools", file)
	}
	return list.Tools, nil
}

// ask starts the server and returns its tools.
func ask(command []string, log io.Writer) ([]*mcp.Tool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	server := exec.CommandContext(ctx, command[0], command[1:]...)
	server.Stderr = log
	client := mcp.NewClient(&mcp.Implementation{Name: "clientgen", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: server}, nil)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	var tools []*mcp.Tool
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return nil, errors.Join(fmt.Errorf("list the tools: %w", err), session.Close())
		}
		tools = append(tools, tool)
	}
	return tools, session.Close()
}
