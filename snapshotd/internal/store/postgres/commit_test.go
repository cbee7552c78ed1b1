package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/snapgate/snapgate/snapshotd/internal/store"
	"github.com/snapgate/snapgate/snapshotd/internal/store/postgres/pgtest"
)

// cutter is a network between client and server that breaks a connection at a commit.
type cutter struct {
	net.Listener
	server string
	cut    atomic.Int32 // one of the following, once
	others func()       // called before the client notices, if not nil
	group  sync.WaitGroup
}

const (
	cutNothing int32 = iota
	cutBefore        // the server never hears of the commit
	cutAfter         // the client never hears of its result
)

// commitMessage is a simple query as the protocol writes it.
var commitMessage = []byte("Q\x00\x00\x00\x0bcommit\x00")

func newCutter(t *testing.T, address string) (*cutter, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, server: u.Host}
	c.group.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			c.group.Go(func() { c.carry(client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.group.Wait()
	})
	u.Host = l.Addr().String()
	return c, u.String()
}

func (c *cutter) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var mute atomic.Bool
	answered := make(chan struct{}) // closed when the server has gone, or answered a commit that was cut
	c.group.Go(func() {
		defer close(answered)
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if mute.Load() {
				return // the client is not to notice yet
			}
			if err != nil {
				client.Close()
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(buffer[:n], commitMessage) {
			switch c.cut.Swap(cutNothing) {
			case cutBefore:
				return
			case cutAfter:
				mute.Store(true)
				_, _ = server.Write(buffer[:n])
				<-answered
				if c.others != nil {
					c.others()
				}
				return
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func TestACommitWhoseAnswerIsLostIsFoundOut(t *testing.T) {
	direct := pgtest.Shared(t).Database(t)
	c, address := newCutter(t, direct)
	d := open(t, address, Options{})
	s := acquire(t, d, ownerOf("alice"))
	t.Cleanup(func() { _ = d.Close() }) // before the network ends
	for want, cut := range []int32{cutNothing, cutBefore, cutAfter, cutBefore} {
		c.cut.Store(cut)
		if saved := save(t, s, store.Draft{Summary: "s", Context: "c"}); saved.ID != int64(want+1) {
			t.Errorf("cut %d: saved as %d, want %d", cut, saved.ID, want+1)
		}
		if c.cut.Load() != cutNothing {
			t.Fatalf("cut %d: nothing was cut", cut)
		}
		if u, err := s.Usage(patient(t)); err != nil || u.Snapshots != int64(want+1) {
			t.Errorf("cut %d: there are %+v, %v", cut, u, err)
		}
	}
	healthy(t, s)
}

func TestACommitThatCannotBeFoundOutIsToldAsSuch(t *testing.T) {
	server := pgtest.Shared(t)
	direct := server.Database(t)
	c, address := newCutter(t, direct)
	d := open(t, address, Options{})
	s := acquire(t, d, ownerOf("alice"))
	t.Cleanup(func() { _ = d.Close() })
	save(t, s, store.Draft{Summary: "first", Context: "c"})
	other := acquire(t, open(t, direct, Options{}), ownerOf("alice"))
	c.others = func() { // hide the trace of the write
		for range 2 {
			if _, err := other.Save(context.Background(), store.Draft{Summary: "other", Context: "c"}); err != nil {
				t.Error(err)
			}
		}
	}
	c.cut.Store(cutAfter)
	if _, err := s.Save(patient(t), store.Draft{Summary: "second", Context: "c"}); !errors.Is(err, store.ErrUncertain) || store.Reason(err) != store.ErrUncertain.Error() {
		t.Errorf("got %v", err)
	}
	if u, err := s.Usage(patient(t)); err != nil || u.Snapshots != 4 {
		t.Errorf("there are %+v, %v", u, err)
	}
}
