package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Requirement is a claim that every token must have, beside those that all access
// tokens have.
type Requirement struct {
	// Claim is its name, or a dotted path to it; see [FindClaim].
	Claim string
	// Values are those of which the claim must have one: be it, or be a list that has it.
	// Numbers and booleans are compared by their JSON text.
	Values []string
}

func (r Requirement) check() error {
	switch {
	case r.Claim == "":
		return errors.New("require: a claim needs a name")
	case len(r.Values) == 0:
		return fmt.Errorf("require %s: names no value that the claim may have", r.Claim)
	}
	return nil
}

// unmet says what the claims lack; "" if nothing. The values of the token's claim are
// left out: they are of no use without the user, and personal with him.
func (r Requirement) unmet(claims map[string]any) string {
	value, ok := FindClaim(claims, r.Claim)
	if !ok || value == nil {
		return fmt.Sprintf("require %s: the token has no such claim", r.Claim)
	}
	if list, ok := value.([]any); ok && slices.ContainsFunc(list, r.names) || r.names(value) {
		return ""
	}
	return fmt.Sprintf("require %s: the claim is none of %.200q and has none of them", r.Claim, r.Values)
}

// names says whether one of the wanted values is this one.
func (r Requirement) names(value any) bool {
	text, ok := scalarText(value)
	return ok && slices.Contains(r.Values, text)
}

// scalarText is a string as it is, or the JSON text of a number or a boolean.
func scalarText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool, int64, uint64, float64:
		text, err := json.Marshal(v)
		return string(text), err == nil
	}
	return "", false
}

// notAdmitted is a good token of someone who is not let in here. It is 403 and no
// challenge: with 401 and invalid_token (RFC 6750 section 3.1) clients fetch another
// token, which would have the same claims, and do so again, a login page each time;
// with insufficient_scope they would ask for scopes that are no help. The log says who it
// was, by the name that it knows users by.
func notAdmitted(reason, user string) *Error {
	return &Error{
		Status:      http.StatusForbidden,
		Description: "The user of this access token is not admitted here",
		Reason:      reason + " (user " + user + ")",
	}
}
