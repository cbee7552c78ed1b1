package jsjson

import "strings"

// JavaScript strings are sequences of UTF-16 code units and may hold half a
// surrogate pair, which UTF-8 cannot say. Inside this package such a half is kept
// in WTF-8 (https://simonsapin.github.io/wtf-8/): the three bytes that UTF-8 would
// give it if it were allowed, ED A0..BF 80..BF.

func isHigh(unit rune) bool { return unit >= 0xD800 && unit <= 0xDBFF }
func isLow(unit rune) bool  { return unit >= 0xDC00 && unit <= 0xDFFF }

// appendCodeUnit writes one UTF-16 code unit, which may be a lone surrogate.
func appendCodeUnit(out []byte, unit rune) []byte {
	if isHigh(unit) || isLow(unit) {
		return append(out, 0xED, 0x80|byte(unit>>6&0x3F), 0x80|byte(unit&0x3F))
	}
	return append(out, string(unit)...)
}

func isSurrogateAt(s string, i int) bool {
	return s[i] == 0xED && i+2 < len(s) && s[i+1] >= 0xA0
}

func surrogateAt(s string, i int) rune {
	return 0xD000 | rune(s[i+1]&0x3F)<<6 | rune(s[i+2]&0x3F)
}

// wellFormed replaces lone surrogates by U+FFFD, as String.prototype.toWellFormed.
func wellFormed(s string) string {
	if strings.IndexByte(s, 0xED) < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if isSurrogateAt(s, i) {
			b.WriteString("\uFFFD")
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// TrimSpace is JavaScript's String.prototype.trim, which differs from Go's in
// U+FEFF (trimmed) and U+0085 (kept).
func TrimSpace(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		switch r {
		case '\t', '\n', '\v', '\f', '\r', ' ', 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF:
			return true
		}
		return r >= 0x2000 && r <= 0x200A
	})
}
