package jsjson

import (
	"math"
	"strconv"
	"strings"
)

// Indented is the text of JSON.stringify(v, null, 2).
func (v Value) Indented() string { return string(appendValue(nil, v, "\n", "  ")) }

// Compact is the text of JSON.stringify(v).
func (v Value) Compact() string { return string(appendValue(nil, v, "", "")) }

// appendValue writes v. newline is a line break with the indentation of the
// enclosing level, or "" for compact text.
func appendValue(out []byte, v Value, newline, indent string) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(out, v.truth)
	case Number:
		if math.IsInf(v.number, 0) {
			return append(out, "null"...) // ECMA-262 section 25.5.2.2 step 10
		}
		return append(out, FormatNumber(v.number)...)
	case String:
		return appendQuoted(out, v.text)
	case Array:
		return appendArray(out, v, newline, indent)
	case Object:
		return appendObject(out, v, newline, indent)
	default:
		return append(out, "null"...)
	}
}

func appendArray(out []byte, v Value, newline, indent string) []byte {
	if len(v.items) == 0 {
		return append(out, "[]"...)
	}
	inner := newline + indent
	out = append(out, '[')
	for i, item := range v.items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, inner...)
		out = appendValue(out, item, inner, indent)
	}
	out = append(out, newline...)
	return append(out, ']')
}

func appendObject(out []byte, v Value, newline, indent string) []byte {
	if len(v.members) == 0 {
		return append(out, "{}"...)
	}
	inner := newline + indent
	out = append(out, '{')
	for i, m := range v.members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, inner...)
		out = appendQuoted(out, m.name)
		out = append(out, ':')
		if indent != "" {
			out = append(out, ' ')
		}
		out = appendValue(out, m.Value, inner, indent)
	}
	out = append(out, newline...)
	return append(out, '}')
}

const hexDigits = "0123456789abcdef"

// appendQuoted is QuoteJSONString of ECMA-262 section 25.5.2.3: nothing is
// escaped but the quote, the backslash, C0 controls and lone surrogates.
func appendQuoted(out []byte, s string) []byte {
	out = append(out, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = appendControl(out, c)
		case isSurrogateAt(s, i):
			unit := surrogateAt(s, i)
			out = append(out, '\\', 'u', 'd', hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
			i += 2
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

func appendControl(out []byte, c byte) []byte {
	if i := strings.IndexByte("\b\t\n\f\r", c); i >= 0 {
		return append(out, '\\', "btnfr"[i])
	}
	return append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// FormatNumber is JavaScript's String(f) (ECMA-262 section 6.1.6.1.20).
func FormatNumber(f float64) string {
	switch {
	case f == 0:
		return "0" // also for -0
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	// Go writes an exponent with at least two digits, JavaScript does not.
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	return mantissa + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0")
}
