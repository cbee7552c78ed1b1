package main

import (
	"fmt"
	"time"
)

// What the gateway must reach.
const (
	barSessions = 32 // of the bars about rates; those about delays are of one session
	barPayload  = 64 // bytes

	leastShare        = 0.55 // of the limit, at 32 sessions
	timesSupergateway = 8
	timesMCPProxy     = 5
	mostDelay         = 2        // times the p50 of raw stdio and bare HTTP together, one session
	mostIdle          = 64 << 10 // bytes of an idle session
	timesPrewarmed    = 10       // that cold set-up takes longer

	timesNode    = 5          // that a server on Node.js takes longer to start than snapshotd
	mostResident = 25_000_000 // bytes of snapshotd when idle
	mostSize     = 20_000_000 // bytes of its binary
)

const (
	legacySession = "legacy, per session, http"
	legacyShared  = "legacy, per shared, http"
	modernUser    = "modern, per user, http"
)

// bars says of each whether this run met it.
func (r *report) bars() error {
	r.printf("\nBars\n")
	for _, library := range []bool{false, true} {
		for _, name := range []string{legacySession, modernUser} {
			r.ratio(name, limit, leastShare, library)
		}
		r.ratio(legacySession, supergateway, timesSupergateway, library)
		r.ratio(legacyShared, mcpProxy, timesMCPProxy, library) // which has one process for all, too
		for _, name := range []string{legacySession, modernUser} {
			r.delay(name, library)
		}
	}
	r.bar("an idle session: at most "+kib(mostIdle), kib(r.idleBytes), r.idleBytes > 0, r.idleBytes <= mostIdle)
	slow, fast := r.begun[cold], r.begun[prewarmed]
	r.bar(fmt.Sprintf("set-up prewarmed: at most 1/%d of cold", timesPrewarmed), fmt.Sprintf("%v of %v", fast, slow),
		slow > 0 && fast > 0, fast*timesPrewarmed <= slow)
	s := r.snapshotd
	r.bar(fmt.Sprintf("snapshotd, start to first answer: at most 1/%d of Node.js", timesNode), fmt.Sprintf("%v of %v", s.start, s.node),
		s.start > 0 && s.node > 0, s.start*timesNode <= s.node)
	r.bar("snapshotd, idle: at most 25 MB resident", fmt.Sprintf("%.1f MB", megabytes(s.resident)), s.resident > 0, s.resident <= mostResident)
	r.bar("snapshotd: at most 20 MB on disk", fmt.Sprintf("%.1f MB", megabytes(s.size)), s.size > 0, s.size <= mostSize)
	r.bar(fmt.Sprintf("%d sessions: nothing left", r.options.many), r.left, true, r.nothingLeft)
	return nil
}

// ratio is about rates.
func (r *report) ratio(name, other string, least float64, library bool) {
	key := func(name string) row { return row{name, barSessions, barPayload, library} }
	a, ok := r.rows[key(name)]
	b, there := r.rows[key(other)]
	value := fmt.Sprintf("%.2f", a.rate/b.rate)
	if minimal := r.rows[key(leastInCaddy)]; name == legacySession {
		value += fmt.Sprintf(", least in Caddy %.2f", minimal.rate/b.rate)
	}
	r.bar(fmt.Sprintf("%s, %d sessions%s: at least %v of %s", name, barSessions, clients(library), least, other), value, ok && there, a.rate >= least*b.rate)
}

// delay is about one session.
func (r *report) delay(name string, library bool) {
	key := func(name string) row { return row{name, 1, barPayload, library} }
	a, ok := r.rows[key(name)]
	b := r.rows[key(limit)]
	times := func(d time.Duration) float64 { return float64(d) / float64(b.p50) }
	r.bar(fmt.Sprintf("%s, one session%s: p50 at most %d x (raw + bare)", name, clients(library), mostDelay),
		fmt.Sprintf("%.2f, least in Caddy %.2f", times(a.p50), times(r.rows[key(leastInCaddy)].p50)), ok, a.p50 <= mostDelay*b.p50)
}

func clients(library bool) string {
	if library {
		return " of net/http"
	}
	return ""
}

func (r *report) bar(what, value string, measured, met bool) {
	verdict := "not met"
	switch {
	case !measured:
		value, verdict = "", "not measured"
	case met:
		verdict = "met"
	}
	r.printf("%-90s %-48s %s\n", what, value, verdict)
}

func kib(bytes int) string { return fmt.Sprintf("%.1f KiB", float64(bytes)/1024) }
