package message

import (
	"fmt"
	"strings"
	"testing"
)

// costly is a call of a tool of so many bytes.
func costly(size int) []byte {
	const format = `{"jsonrpc":"2.0","id":123,"method":"tools/call","params":{"name":"save_snapshot","arguments":{"summary":"%s"},"_meta":{"progressToken":7}}}`
	return fmt.Appendf(nil, format, strings.Repeat("s", size-len(format)+len("%s")))
}

// benchCalls are calls of a tool by their size in bytes. What is allocated for one beyond
// its size is copies.
func benchCalls(b *testing.B, bench func(b *testing.B, call []byte)) {
	for _, size := range []int{256, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			call := costly(size)
			b.SetBytes(int64(len(call)))
			b.ReportAllocs()
			bench(b, call)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	benchCalls(b, func(b *testing.B, call []byte) {
		for b.Loop() {
			if _, err := Parse(call, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStamp makes of a call what its server is sent: a number of the gateway's in
// place of id and progress token, and the identity.
func BenchmarkStamp(b *testing.B) {
	stamp := MetaValue{"io.github.snapgate/identity", []byte(`{"issuer":"https://auth.example.com","subject":"alice","user":"h67l22ladaxbogmejh2vtaxvkm"}`)}
	benchCalls(b, func(b *testing.B, call []byte) {
		m, err := Parse(call, 0)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			m.Edit().ID([]byte("42")).MetaMember(MetaProgressToken, []byte("42")).DropMeta("io.github.snapgate/").SetMeta(stamp).Bytes()
		}
	})
}
