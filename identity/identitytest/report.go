package identitytest

import (
	"fmt"
	"io"
	"strings"
)

// Outcome is what came of a check.
type Outcome string

const (
	// Passed means that the server did what the contract asks for.
	Passed Outcome = "ok"
	// Finding means that the server believes what a client may have written, shows one
	// user's data to another, or breaks.
	Finding Outcome = "FINDING"
	// Warning means something that harms no user, but is better otherwise.
	Warning Outcome = "warning"
	// NotRun means that the check would have shown nothing.
	NotRun Outcome = "not run"
)

// Result is the outcome of one check in one era.
type Result struct {
	Era     Era     `json:"era"`
	Check   string  `json:"check"` // one of [Checks]
	Outcome Outcome `json:"outcome"`
	// Detail says what was seen, or why the check was not run; "" if it passed.
	Detail string `json:"detail,omitempty"`
}

// Report is what was found out about a server.
type Report struct {
	// Spoken are the protocol versions that the server agreed to, by era. An era that
	// is missing was not tried, or is none of the server's.
	Spoken  map[Era]string `json:"spoken"`
	Results []Result       `json:"results"`
}

// Findings are the results with the outcome [Finding]. A server without one trusts
// only the stamped identity, as far as the kit could see.
func (r *Report) Findings() []Result { return r.with(Finding) }

// Warnings are the results with the outcome [Warning].
func (r *Report) Warnings() []Result { return r.with(Warning) }

func (r *Report) with(outcome Outcome) []Result {
	var found []Result
	for _, result := range r.Results {
		if result.Outcome == outcome {
			found = append(found, result)
		}
	}
	return found
}

// WriteTo writes the report for people, one line a check.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var text strings.Builder
	var era Era
	for _, result := range r.Results {
		if result.Era != era {
			era = result.Era
			fmt.Fprintf(&text, "%s%s\n", era, parenthesized(r.Spoken[era]))
		}
		fmt.Fprintf(&text, "  %-8s %s", result.Outcome, result.Check)
		if result.Detail != "" {
			fmt.Fprintf(&text, ": %s", result.Detail)
		}
		text.WriteByte('\n')
	}
	fmt.Fprintf(&text, "%s, %s\n", counted(len(r.Findings()), "finding"), counted(len(r.Warnings()), "warning"))
	n, err := io.WriteString(w, text.String())
	return int64(n), err
}

func parenthesized(version string) string {
	if version == "" {
		return ""
	}
	return " (" + version + ")"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
