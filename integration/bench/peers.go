package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/snapgate/snapgate/integration/internal/npm"
)

// peers are gateways for stdio servers from npm, with what makes each serve a command at
// a port.
var peers = []struct {
	name, program string
	arguments     func(port, command string) []string
}{
	{supergateway, "supergateway", func(port, command string) []string {
		return []string{"--stdio", command, "--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none", "--port", port}
	}},
	{mcpProxy, "mcp-proxy", func(port, command string) []string {
		return append([]string{"--server", "stream", "--host", "127.0.0.1", "--port", port, "--"}, strings.Fields(command)...)
	}},
}

const (
	supergateway = "supergateway, no login"
	mcpProxy     = "mcp-proxy, no login"
)

var peerPackages = []string{"supergateway@4.0.0", "mcp-proxy@6.7.19"}

// peer is one that runs.
type peer struct {
	way way
	cmd *exec.Cmd
}

// startPeers starts those that npm can install.
func startPeers() (started []*peer, err error) {
	folder, err := npm.Folder(peerPackages)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			stopPeers(started)
			started = nil
		}
	}()
	for _, p := range peers {
		port, err := freePort()
		if err != nil {
			return started, err
		}
		command := "env " + childVar + "=1 " + os.Args[0]
		cmd := exec.Command(filepath.Join(folder, "node_modules", ".bin", p.program), p.arguments(strconv.Itoa(port), command)...)
		if err := cmd.Start(); err != nil {
			return started, err
		}
		address := net.JoinHostPort("localhost", strconv.Itoa(port))
		way := legacy(p.name, "http://"+address+"/mcp", nil)
		way.foreign, way.pid = true, cmd.Process.Pid
		started = append(started, &peer{way, cmd})
		if err := listens(address); err != nil {
			return started, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return started, nil
}

// listens waits until somebody does.
func listens(address string) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return errors.New("it does not listen")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stopPeers ends them. What they started ends with its input.
func stopPeers(all []*peer) {
	for _, p := range all {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		kill := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait() // by that signal
		kill.Stop()
	}
}
