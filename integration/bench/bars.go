package main

import "fmt"

// What the gateway must reach, of the rows with least bytes.
const (
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
	modernUser    = "modern, per user, http"
)

// bars says of each whether this run met it.
func (r *report) bars() error {
	r.printf("\nBars\n")
	for _, name := range []string{legacySession, modernUser} {
		r.ratio(name, limit, leastShare)
	}
	r.ratio(legacySession, supergateway, timesSupergateway)
	r.ratio(legacySession, mcpProxy, timesMCPProxy)
	for _, name := range []string{legacySession, modernUser} {
		r.delay(name)
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

// ratio is about the rates of 32 sessions.
func (r *report) ratio(name, other string, least float64) {
	a, ok := r.rows[row{name, 32, 64}]
	b, there := r.rows[row{other, 32, 64}]
	r.bar(fmt.Sprintf("%s, 32 sessions: at least %v of %s", name, least, other), fmt.Sprintf("%.2f", a.rate/b.rate), ok && there, a.rate >= least*b.rate)
}

// delay is about one session.
func (r *report) delay(name string) {
	a, ok := r.rows[row{name, 1, 64}]
	b := r.rows[row{limit, 1, 64}]
	r.bar(fmt.Sprintf("%s, one session: p50 at most %d x (raw + bare)", name, mostDelay),
		fmt.Sprintf("%v, %.2f x %v", a.p50, float64(a.p50)/float64(b.p50), b.p50), ok, a.p50 <= mostDelay*b.p50)
}

func (r *report) bar(what, value string, measured, met bool) {
	verdict := "not met"
	switch {
	case !measured:
		value, verdict = "", "not measured"
	case met:
		verdict = "met"
	}
	r.printf("%-77s %-42s %s\n", what, value, verdict)
}

func kib(bytes int) string { return fmt.Sprintf("%.1f KiB", float64(bytes)/1024) }
