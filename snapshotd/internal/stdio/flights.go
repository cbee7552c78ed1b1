package stdio

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// batchVersion is the one protocol version that has JSON-RPC batches. 2025-06-18
// removed them.
const batchVersion = "2025-03-26"

// flights are the calls that have been read and not been answered.
type flights struct {
	mu      sync.Mutex
	calls   map[jsonrpc.ID]flight
	bytes   int           // of the calls
	writing int           // answers between leaving calls and being written
	batches bool          // batchVersion was negotiated
	changed chan struct{} // closed and replaced when an answer has been written
}

// flight is one call.
type flight struct {
	method string
	size   int
	batch  *batch // nil for a call of its own
}

// batch collects the answers to the calls of one batch.
type batch struct {
	waiting int
	answers [][]byte
}

func newFlights() *flights {
	return &flights{calls: make(map[jsonrpc.ID]flight), changed: make(chan struct{})}
}

// add notes a call of size bytes that is about to be handled. It is false for an id
// in flight.
func (f *flights) add(request *jsonrpc.Request, size int, b *batch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.calls[request.ID]; taken {
		return false
	}
	f.calls[request.ID] = flight{method: request.Method, size: size, batch: b}
	f.bytes += size
	if b != nil {
		b.waiting++
	}
	return true
}

// answer takes a call out and returns what is to be written: its answer, that of
// its whole batch, or nil while the batch waits for others. The caller calls
// answered after writing. The id is free from here on, since its client may use
// it again as soon as it sees the answer.
func (f *flights) answer(response *jsonrpc.Response, data []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing++
	call := f.calls[response.ID]
	delete(f.calls, response.ID)
	f.bytes -= call.size
	if call.method == "initialize" && response.Error == nil {
		f.batches = negotiated(response.Result) == batchVersion
	}
	if call.batch == nil {
		return data
	}
	call.batch.answers = append(call.batch.answers, data)
	if call.batch.waiting--; call.batch.waiting > 0 {
		return nil
	}
	return append(append([]byte{'['}, bytes.Join(call.batch.answers, []byte{','})...), ']')
}

// answered says that what answer returned has been written.
func (f *flights) answered() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing--
	close(f.changed)
	f.changed = make(chan struct{})
}

// idle says whether nothing is in flight; if not, the channel closes at the next
// answer.
func (f *flights) idle() (bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls) == 0 && f.writing == 0, f.changed
}

// has says whether the call is in flight; if so, the channel closes at the next
// answer to any.
func (f *flights) has(id jsonrpc.ID) (bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.calls[id]
	return ok, f.changed
}

// room returns a channel that is closed now, or will be at the next answer if
// MaxInFlight calls or MaxBytesInFlight are under way.
func (f *flights) room() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls)+f.writing < MaxInFlight && f.bytes < MaxBytesInFlight {
		return ready
	}
	return f.changed
}

var ready = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// pending are the calls of one method that are in flight.
func (f *flights) pending(method string) []jsonrpc.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []jsonrpc.ID
	for id, call := range f.calls {
		if call.method == method {
			ids = append(ids, id)
		}
	}
	return ids
}

func (f *flights) batchesAllowed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.batches
}

// negotiated is the protocol version in an InitializeResult.
func negotiated(result json.RawMessage) string {
	var r struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	if json.Unmarshal(result, &r) != nil {
		return ""
	}
	return r.ProtocolVersion
}
