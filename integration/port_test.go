package integration_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
)

// Ports that no system gives to connections, or to whoever listens at port 0: Linux gives those
// from 32768 on, others from 49152. So nobody is given one of these between the moment in which
// it is found to be free and the one in which somebody listens there.
const (
	firstPort = 10_000
	lastPort  = 32_767
)

// handedOut are the ports that tests were given before. Caddy shares a port with whoever
// listens there already (SO_REUSEPORT), so that two gateways on one would both seem to run,
// and each get some of the other's connections.
var handedOut sync.Map

// freePorts finds two that differ and that no other test has.
func freePorts(t testing.TB) (int, int) {
	t.Helper()
	var ports []int
	for range 10_000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if _, taken := handedOut.LoadOrStore(port, true); taken || !isFree(t, port) {
			continue
		}
		if ports = append(ports, port); len(ports) == 2 {
			return ports[0], ports[1]
		}
	}
	t.Fatalf("no two ports are free from %d to %d", firstPort, lastPort)
	return 0, 0
}

// isFree says whether nobody listens at the port of either address that localhost has.
func isFree(t testing.TB, port int) bool {
	t.Helper()
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
		switch {
		case err == nil:
			l.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			return false
		case host == "127.0.0.1": // a machine need not have the other
			t.Fatal(err)
		}
	}
	return true
}
