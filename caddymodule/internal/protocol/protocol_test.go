package protocol

import (
	"cmp"
	"net/http"
	"slices"
	"testing"
)

func TestErasOfVersions(t *testing.T) {
	for version, want := range map[string]Era{
		"": Legacy, "2024-11-05": Legacy, "2025-11-25": Legacy, "2026-07-27": Legacy, "2026-07-28": Modern, "2099-01-01": Modern, "draft": Modern,
	} {
		if got := EraOf(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

func TestVersionsAreNewestFirstAndSupported(t *testing.T) {
	all := Versions()
	if !slices.IsSortedFunc(all, func(a, b string) int { return cmp.Compare(b, a) }) {
		t.Errorf("%v", all)
	}
	for _, version := range all {
		if !Supported(version) {
			t.Errorf("%s is listed and not supported", version)
		}
	}
	for _, version := range []string{"", "2025-01-01", "2026-07-29"} {
		if Supported(version) {
			t.Errorf("%q is supported", version)
		}
	}
}

func TestHeadersAreInCanonicalForm(t *testing.T) {
	for _, name := range []string{HeaderVersion, HeaderSession, HeaderMethod, HeaderName, HeaderLastEventID, HeaderEarlyData} {
		if http.CanonicalHeaderKey(name) != name {
			t.Errorf("%s is never found", name)
		}
	}
}
