package install

import (
	"fmt"
	"strings"
)

// diffContext is how many lines around a change are shown.
const diffContext = 3

// Diff shows a plan as a unified diff. A plan changes one place, so that there is one
// hunk, from the first line that differs to the last.
func (p Plan) Diff() string {
	before, after := lines(string(p.Before)), lines(string(p.After))
	if !p.Exists {
		before = nil
	}
	if !p.Remains {
		after = nil
	}
	first := 0
	for first < min(len(before), len(after)) && before[first] == after[first] {
		first++
	}
	last := 0 // lines that are equal at the end
	for last < min(len(before), len(after))-first && before[len(before)-1-last] == after[len(after)-1-last] {
		last++
	}
	if first == len(before) && first == len(after) {
		return ""
	}
	from := max(first-diffContext, 0)
	behind := min(last, diffContext)
	endBefore, endAfter := len(before)-last+behind, len(after)-last+behind
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n@@ -%s +%s @@\n", sideName(p.File, p.Exists), sideName(p.File, p.Remains),
		hunkRange(from, endBefore), hunkRange(from, endAfter))
	show := func(sign string, some []string) {
		for _, line := range some {
			b.WriteString(sign + line + "\n")
		}
	}
	show(" ", before[from:first])
	show("-", before[first:len(before)-last])
	show("+", after[first:len(after)-last])
	show(" ", before[len(before)-last:endBefore])
	return b.String()
}

func sideName(file string, exists bool) string {
	if !exists {
		return "/dev/null"
	}
	return file
}

func hunkRange(from, end int) string {
	if end == from {
		return fmt.Sprintf("%d,0", from)
	}
	return fmt.Sprintf("%d,%d", from+1, end-from)
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	all := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}
