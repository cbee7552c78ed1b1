package main

import "testing"

func TestEachSampleHasOnePart(t *testing.T) {
	for _, c := range []struct {
		want      string
		functions []string // the innermost first
	}{
		{"garbage collection", []string{"runtime.scanobject", "runtime.gcDrainN", "runtime.gcAssistAlloc", "runtime.mallocgc", "net/http.readRequest"}},
		{"making objects", []string{"runtime.nextFreeFast", "runtime.mallocgc", "runtime.newobject", "github.com/snapgate/snapgate/caddymodule/internal/message.Parse"}},
		{"waking and parking threads", []string{"internal/runtime/syscall.EpollWait", "runtime.netpoll", "runtime.findRunnable", "runtime.schedule", "runtime.park_m", "runtime.mcall"}},
		{"system calls, pipes", []string{"syscall.RawSyscall6", "github.com/snapgate/snapgate/caddymodule/internal/process.(*attempt).step-fm", "internal/poll.(*FD).RawWrite"}},
		{"system calls, pipes", []string{"syscall.write", "internal/poll.(*FD).Write", "os.(*File).Write", "github.com/snapgate/snapgate/integration/bench/echo.(*Child).Call"}},
		{"system calls, log", []string{"syscall.write", "internal/poll.(*FD).Write", "os.(*File).Write", "github.com/DeRuina/timberjack.(*Logger).Write"}},
		{"system calls, connections", []string{"syscall.write", "internal/poll.(*FD).Write", "net.(*netFD).Write", "net/http.(*response).Flush", "github.com/caddyserver/caddy/v2/modules/caddyhttp.(*IdleTimeoutWriter).FlushError"}},
		{"this module", []string{"runtime.memmove", "github.com/go-json-experiment/json/jsontext.(*Decoder).ReadToken", "github.com/snapgate/snapgate/caddymodule/internal/message.Parse"}},
		{"log, but its system calls", []string{"go.uber.org/zap/zapcore.(*jsonEncoder).EncodeEntry", "github.com/snapgate/snapgate/caddymodule/internal/audit.(*Log).Write"}},
		{"Caddy", []string{"runtime.mapassign_faststr", "github.com/caddyserver/caddy/v2.NewReplacer", "net/http.(*conn).serve"}},
		{"net/http", []string{"bufio.(*Reader).ReadLine", "net/textproto.readMIMEHeader", "net/http.(*conn).serve"}},
		{otherwise, []string{"runtime.chanrecv"}},
	} {
		if got := partOf(c.functions); got != c.want {
			t.Errorf("%s has the part %q, want %q", c.functions[0], got, c.want)
		}
	}
}
