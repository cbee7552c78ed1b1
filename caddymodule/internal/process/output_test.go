//go:build unix

package process

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestRubbishOnStdoutIsLoggedAndSkipped(t *testing.T) {
	r := play(t, "rubbish")
	r.wait()
	for _, want := range []string{`{"ok":1}`, `  [2]`, `{"ok":3}`} {
		r.expect(want)
	}
	if len(r.lines) != 0 {
		t.Errorf("more: %q", r.line())
	}
	log := r.log.String()
	for _, want := range []string{"Server listening", "bom", "red"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.ContainsAny(log, "\x1b\x00\u202e") || !utf8.ValidString(log) {
		t.Errorf("control characters in the log: %q", log)
	}
	if n := strings.Count(log, "not JSON"); n != 4 {
		t.Errorf("%d lines logged, want 4", n)
	}
}

func TestLastLineWithoutNewlineCountsIfItIsWhole(t *testing.T) {
	whole := play(t, "partial")
	whole.wait()
	whole.expect(`{"a":1}`)
	cut := play(t, "partial-cut")
	cut.wait()
	if len(cut.lines) != 0 {
		t.Errorf("a cut message was delivered: %q", cut.line())
	}
	if !strings.Contains(cut.log.String(), "not JSON") {
		t.Error("the cut message was not logged")
	}
}

func TestEndlessLineKillsTheProcess(t *testing.T) {
	r := play(t, "flood-stdout", func(c *Config) { c.MaxLine = 1 << 20 })
	if err := r.wait(); !errors.Is(err, ErrLineTooLong) || !strings.Contains(err.Error(), "1048576") {
		t.Error(err)
	}
	if len(r.lines) != 0 {
		t.Error("a part of the line was delivered")
	}
}

func TestLineAtTheLimitPasses(t *testing.T) {
	r := play(t, "echo", func(c *Config) { c.MaxLine = 100_000 })
	line := `["` + strings.Repeat("x", 100_000-4) + `"]`
	r.send(line)
	r.expect(line)
	r.send(line + " ")
	if err := r.wait(); !errors.Is(err, ErrLineTooLong) {
		t.Error(err)
	}
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("y", 100)
	cases := []struct {
		name, in string
		want     []string
		err      error
	}{
		{"empty", "", []string{""}, io.EOF},
		{"plain", "a\nbc\n", []string{"a", "bc", ""}, io.EOF},
		{"carriage return", "a\r\n\r\nb\rc\n", []string{"a", "", "b\rc", ""}, io.EOF},
		{"partial", "a\nb\r", []string{"a", "b\r"}, io.EOF},
		{"at the limit", long + "\n" + long + "\r\n" + long, []string{long, long, long}, io.EOF},
		{"over", "a\n" + long + "z\n", []string{"a"}, errOverLimit},
		{"over by carriage returns", long + "\r\r\n", nil, errOverLimit},
		{"over without end", long + long, nil, errOverLimit},
	}
	for _, c := range cases {
		for name, src := range map[string]io.Reader{
			"whole":    strings.NewReader(c.in),
			"bytewise": iotest.OneByteReader(strings.NewReader(c.in)),
		} {
			r := lineReader{src: bufio.NewReaderSize(src, 16), limit: 100}
			got, err := readAllLines(&r)
			if strings.Join(got, "|") != strings.Join(c.want, "|") || len(got) != len(c.want) || err != c.err {
				t.Errorf("%s, %s: %q, %v; want %q, %v", c.name, name, got, err, c.want, c.err)
			}
		}
	}
}

func readAllLines(r *lineReader) ([]string, error) {
	var got []string
	for {
		line, _, err := r.next()
		if err == errOverLimit {
			return got, err
		}
		got = append(got, string(line))
		if err != nil {
			return got, err
		}
	}
}

func TestLinesDoNotShareMemoryWithTheBuffer(t *testing.T) {
	r := lineReader{src: bufio.NewReaderSize(strings.NewReader("aaa\nbbb\n"), 16), limit: 10}
	first, _, _ := r.next()
	if cap(first) != 3 {
		t.Errorf("capacity %d for 3 bytes", cap(first))
	}
	second, _, _ := r.next()
	copy(first, "zzz")
	if string(second) != "bbb" {
		t.Errorf("second line is %q", second)
	}
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\r\nb\n\nc"), 3)
	f.Add([]byte("\r\r\n"), 1)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		if limit < 1 || limit > 100 {
			t.Skip()
		}
		r := lineReader{src: bufio.NewReaderSize(bytes.NewReader(in), 16), limit: limit}
		parts := bytes.Split(in, []byte{'\n'})
		for i, part := range parts {
			last := i == len(parts)-1
			if !last {
				part = bytes.TrimSuffix(part, []byte{'\r'})
			}
			line, ended, err := r.next()
			if len(part) > limit {
				if err != errOverLimit {
					t.Fatalf("line %q over %d: %v", part, limit, err)
				}
				return
			}
			if !bytes.Equal(line, part) || ended == last || (err == io.EOF) != last {
				t.Fatalf("line %q, %v, %v; want %q, last %v", line, ended, err, part, last)
			}
		}
	})
}

func TestLooksLikeJSON(t *testing.T) {
	for line, want := range map[string]bool{
		`{}`: true, ` []`: true, "\t{": true, "\r[": true,
		``: false, `x`: false, `"a"`: false, "1": false,
		"\ufeff{}": false, "\x00{}": false, "\v{": false, "\u00a0{": false,
	} {
		if looksLikeJSON([]byte(line)) != want {
			t.Errorf("%q: want %v", line, want)
		}
	}
}
