package identitytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// check is one thing that a server must, or should, do.
type check struct {
	name  string
	about string
	// needs are checks without whose pass this one would show nothing: a server that
	// shows everyone everything is not found out to believe forgeries as well.
	needs []string
	// run returns nil if the server does what it must, a warning, or what was found. It
	// is given a trial of its own.
	run func(context.Context, *trial) error
}

// The names of the checks that others need.
const (
	handshake            = "handshake"
	ownData              = "own-data"
	otherUser            = "other-user"
	missingIdentity      = "missing-identity"
	missingIdentityLater = "missing-identity-later"
)

// checks are all of them, in the order in which they run.
var checks []check

func init() {
	checks = slices.Concat(
		[]check{{handshake, "the gateway's own messages are answered without an identity", nil, nil}},
		separationChecks(), absenceChecks(), forgeryChecks(), malformedChecks(), loadChecks(),
	)
}

// CheckName is a check for those who look for its name.
type CheckName struct{ Name, About string }

// Checks are the checks that there are, in the order in which they run.
func Checks() []CheckName {
	var names []CheckName
	for _, c := range checks {
		names = append(names, CheckName{c.name, c.about})
	}
	return names
}

// warning is the error of a check that found something harmless.
type warning string

func (w warning) Error() string { return string(w) }

// Check tries a server and reports what it found. The error says that nothing could
// be found out: a setting is wrong, the command cannot be started, or the context has
// ended.
func Check(ctx context.Context, c Config) (*Report, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("identitytest: %w", err)
	}
	report := &Report{Spoken: make(map[Era]string)}
	var silent []Result
	for _, era := range c.Eras {
		version, err := spoken(ctx, c, era)
		if err != nil {
			if ctx.Err() != nil || !isServers(err) {
				return nil, fmt.Errorf("identitytest: %w", err)
			}
			silent = append(silent, Result{era, handshake, NotRun, fmt.Sprintf("this era is not spoken: %v", err)})
			continue
		}
		report.Spoken[era] = version
		results := runChecks(ctx, c, era)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("identitytest: %w", context.Cause(ctx))
		}
		report.Results = append(report.Results, results...)
	}
	if len(report.Spoken) == 0 {
		for i := range silent {
			silent[i].Outcome = Finding
		}
	}
	report.Results = append(report.Results, silent...)
	return report, nil
}

// spoken is the version that the server agrees to in an era.
func spoken(ctx context.Context, c Config, era Era) (string, error) {
	v, err := converse(ctx, c, era)
	if err != nil {
		return "", err
	}
	v.close()
	return v.version, nil
}

// isServers says whether an error of a conversation is the server's doing.
func isServers(err error) bool {
	var refused errEra
	return errors.As(err, &refused) || errors.Is(err, errSilent) || errors.Is(err, errGone)
}

func runChecks(ctx context.Context, c Config, era Era) []Result {
	results := []Result{{Era: era, Check: handshake, Outcome: Passed}}
	passed := map[string]bool{handshake: true}
	for _, k := range checks {
		if k.run == nil {
			continue
		}
		result := Result{Era: era, Check: k.name, Outcome: Passed}
		lacking := slices.IndexFunc(k.needs, func(name string) bool { return !passed[name] })
		switch {
		case slices.Contains(c.Skip, k.name):
			result.Outcome, result.Detail = NotRun, "skipped"
		case lacking >= 0:
			result.Outcome, result.Detail = NotRun, "would show nothing without "+k.needs[lacking]
		default:
			result.Outcome, result.Detail = outcome(runCheck(ctx, c, era, k))
			passed[k.name] = result.Outcome == Passed
		}
		results = append(results, result)
		if ctx.Err() != nil {
			break
		}
	}
	return results
}

func runCheck(ctx context.Context, c Config, era Era, k check) error {
	t := &trial{Config: c, era: era}
	defer t.end()
	return k.run(ctx, t)
}

func outcome(err error) (Outcome, string) {
	var harmless warning
	switch {
	case err == nil:
		return Passed, ""
	case errors.As(err, &harmless):
		return Warning, harmless.Error()
	}
	return Finding, err.Error()
}
