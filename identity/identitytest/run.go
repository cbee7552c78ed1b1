package identitytest

import (
	"strings"
	"testing"
)

// Run tries a server and fails the test for each finding. Warnings, and checks that
// were not made, are logged.
func Run(t testing.TB, c Config) {
	t.Helper()
	report, err := Check(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	_, _ = report.WriteTo(&text) // a Builder takes everything
	t.Log("\n" + text.String())
	for _, f := range report.Findings() {
		t.Errorf("%s: %s: %s", f.Era, f.Check, f.Detail)
	}
}
