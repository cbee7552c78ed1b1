package policy

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A URI is one string of bytes for the gateway, and for the server whatever its library
// makes of it: it may decode %2e, resolve "..", drop a query, take file://any/x for /x, or
// a wide dot for a dot.
// Rules must hold for the resource that the server opens in the end, so all that a URI may
// be read as is looked at. A reading is what one or several of these steps lead to.

// steps are what servers are known to do to a URI before they use it. Each returns what it
// was given where there is nothing to do.
var steps = []func(string) string{
	decode, norm.NFKC.String, withoutSpace, withoutTail('\x00'), withoutTail('#'), withoutTail('?'),
	withSlashes, withoutDots, withoutDotsInAll, withoutEmptySegments, withoutFinalSlash, withoutFileHost,
}

// maxReadingsOfOne is how many readings one URI may have. Those that servers hand out have
// a few.
const maxReadingsOfOne = 64

// readings returns the URI and all that it may be read as, or false if that is too much to
// look at.
func readings(uri string) ([]string, bool) {
	all := []string{uri}
	for i := 0; i < len(all); i++ {
		for _, step := range steps {
			if reading := step(all[i]); !slices.Contains(all, reading) {
				all = append(all, reading)
			}
		}
		if len(all) > maxReadingsOfOne {
			return nil, false
		}
	}
	return all, true
}

// plainURI says whether no step changes a URI. It spares the common ones the work.
func plainURI(uri string) bool {
	if strings.HasPrefix(uri, ".") {
		return false
	}
	for i := range len(uri) {
		switch c := uri[i]; c {
		case '%', '?', '#', '\\', ' ', 0x7f:
			return false
		case '/', ':':
			// Before these a segment of dots could end, and after them one could begin.
			if i+1 == len(uri) || uri[i+1] == '.' || i > 0 && uri[i-1] == '.' {
				return false
			}
		default:
			if c < 0x20 || c >= utf8.RuneSelf {
				return false
			}
		}
	}
	return withoutEmptySegments(uri) == uri && withoutFileHost(uri) == uri
}

// decode decodes each percent-encoded byte once (RFC 3986 section 2.1). What only looks
// like one stays.
func decode(uri string) string {
	if strings.IndexByte(uri, '%') < 0 {
		return uri
	}
	out := make([]byte, 0, len(uri))
	for i := 0; i < len(uri); i++ {
		if uri[i] == '%' && i+2 < len(uri) {
			high, low := hexValue(uri[i+1]), hexValue(uri[i+2])
			if high >= 0 && low >= 0 {
				out = append(out, byte(high<<4|low))
				i += 2
				continue
			}
		}
		out = append(out, uri[i])
	}
	return string(out)
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// fullyDecoded decodes until nothing changes.
func fullyDecoded(uri string) string {
	for {
		decoded := decode(uri)
		if decoded == uri {
			return uri
		}
		uri = decoded
	}
}

// withoutSpace removes what URL parsers of browsers and Node do: space and control
// characters at the ends, tabs and line breaks anywhere (URL Standard section 4.4).
func withoutSpace(uri string) string {
	uri = strings.TrimFunc(uri, func(r rune) bool { return r <= ' ' })
	if !strings.ContainsAny(uri, "\t\r\n") {
		return uri
	}
	return strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(uri)
}

// withoutTail cuts a URI at a character: a fragment, a query, or what no C string holds.
func withoutTail(from byte) func(string) string {
	return func(uri string) string {
		head, _, _ := strings.Cut(uri, string(from))
		return head
	}
}

func withSlashes(uri string) string { return strings.ReplaceAll(uri, `\`, "/") }

// withoutDots resolves . and .. in the path (RFC 3986 section 5.2.4), and leaves query and
// fragment alone.
func withoutDots(uri string) string {
	head, path, tail := split(uri)
	return head + resolve(path) + tail
}

// withoutDotsInAll resolves them in the query, too: some take all of it for a path.
func withoutDotsInAll(uri string) string {
	head, path, tail := split(uri)
	return head + resolve(path+tail)
}

// resolve removes the segments . and .. with those that they take back, and never goes
// above the first.
func resolve(path string) string {
	if !strings.Contains(path, ".") {
		return path
	}
	segments := strings.Split(path, "/")
	root := 0
	if segments[0] == "" {
		root = 1
	}
	kept := segments[:root:root]
	for i, segment := range segments[root:] {
		last := root+i == len(segments)-1
		switch {
		case segment != "." && segment != "..":
			kept = append(kept, segment)
			continue
		case segment == ".." && len(kept) > root:
			kept = kept[:len(kept)-1]
		}
		if last {
			kept = append(kept, "") // what ends in a dot is a folder
		}
	}
	return strings.Join(kept, "/")
}

// withoutEmptySegments makes several slashes one.
func withoutEmptySegments(uri string) string {
	head, path, tail := split(uri)
	if !strings.Contains(path, "//") {
		return uri
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return head + path + tail
}

// withoutFinalSlash takes a folder for its name.
func withoutFinalSlash(uri string) string {
	head, path, tail := split(uri)
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return head + path + tail
}

// withoutFileHost brings the forms of a file URI to one: file:/x, file://host/x and
// file:///x are mostly read as the same (RFC 8089 appendix B).
func withoutFileHost(uri string) string {
	const scheme = "file:"
	if len(uri) < len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme) {
		return uri
	}
	head, path, tail := split(uri)
	if head == "file://" || !strings.HasPrefix(path, "/") {
		return uri
	}
	return "file://" + path + tail
}

// split cuts a URI into scheme and authority, path, and query with fragment (RFC 3986
// appendix B).
func split(uri string) (head, path, tail string) {
	end := strings.IndexAny(uri, "?#")
	if end < 0 {
		end = len(uri)
	}
	rest, tail := uri[:end], uri[end:]
	start := 0
	if colon := strings.IndexByte(rest, ':'); colon >= 0 && strings.IndexByte(rest[:colon], '/') < 0 {
		start = colon + 1
	}
	if strings.HasPrefix(rest[start:], "//") {
		start += len("//")
		if slash := strings.IndexByte(rest[start:], '/'); slash >= 0 {
			start += slash
		} else {
			start = len(rest)
		}
	}
	return rest[:start], rest[start:], tail
}
