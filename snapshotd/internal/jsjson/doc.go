// Package jsjson reads and writes JSON the way JavaScript does.
//
// The snapshot files that snapshotd continues were written by a JavaScript
// server, which stored structured contexts as the text of JSON.stringify. For the
// same input this package yields the same text: members keep the order in which
// they were written, save that integer-like keys come first in rising order; a
// repeated key keeps its first place and its last value; numbers are IEEE 754
// doubles in the shortest form that ECMAScript's Number::toString gives; a lone
// surrogate survives as an escape (ECMA-262 section 25.5.2.3, QuoteJSONString).
package jsjson
