package tools

import (
	"context"
	"errors"
	"strings"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The codes of a failed call.
const (
	codeValidation  = "validation_error"
	codeNotFound    = "not_found"
	codeDatabase    = "database_error"
	codeQuota       = "quota_exceeded"
	codeUnknownTool = "unknown_tool"
	codeInternal    = "internal_error"
)

// failure is a tool error: something the caller is told in a result, as opposed to
// an error of the protocol.
type failure struct {
	code, message, details string
	denied                 bool   // by the policy: the text has another form
	scope                  string // that would have been needed, of a denial
	quota                  *store.QuotaError
}

// Error implements error.
func (f *failure) Error() string { return f.text() }

func (f *failure) text() string {
	if f.denied {
		text := "Authorization Error\nCode: " + f.code
		if f.details != "" {
			text += "\nDetails: " + f.details
		}
		if f.scope != "" {
			text += "\nRequired scope: " + f.scope
		}
		return text
	}
	text := "Error: " + f.message
	if f.details != "" {
		text += "\nDetails: " + f.details
	}
	return text + "\nCode: " + f.code
}

// structuredFailure is the error branch of every output schema.
type structuredFailure struct {
	Error struct {
		Code          string `json:"code"`
		Message       string `json:"message"`
		Details       string `json:"details,omitempty"`
		RequiredScope string `json:"required_scope,omitempty"`
		Quota         *quota `json:"quota,omitempty"`
	} `json:"error"`
}

// quota is the limit that a save would have passed.
type quota struct {
	Name      store.Quota   `json:"name"`
	Limit     int64         `json:"limit"`
	Used      int64         `json:"used"`
	Wanted    int64         `json:"wanted"`
	Suggested []listedEntry `json:"suggested"`
}

func (f *failure) result() *mcp.CallToolResult {
	var s structuredFailure
	s.Error.Code, s.Error.Message, s.Error.Details, s.Error.RequiredScope = f.code, f.message, f.details, f.scope
	if q := f.quota; q != nil {
		s.Error.Quota = &quota{Name: q.Quota, Limit: q.Limit, Used: q.Used, Wanted: q.Wanted, Suggested: listedEntries(q.Suggested)}
	}
	result := textResult(f.text(), s)
	result.IsError = true
	return result
}

func textResult(text string, structured any) *mcp.CallToolResult {
	return &mcp.CallToolResult{
		Content:           []mcp.Content{&mcp.TextContent{Text: text}},
		StructuredContent: structured,
	}
}

func denial(d policy.Decision) *failure {
	return &failure{
		denied: true, message: "Authorization Error",
		code: d.Error, details: d.Description, scope: d.RequiredScope,
	}
}

func missing(message, details string) *failure {
	return &failure{code: codeValidation, message: message, details: details}
}

func invalid(details string) *failure {
	return &failure{code: codeValidation, message: "Invalid field", details: details}
}

func notFound(message, details string) *failure {
	return &failure{code: codeNotFound, message: message, details: details}
}

// storageFailure is the failure for an error of the store. The caller is told what
// SQLite says, never a path of the server's. A cancelled call is no failure of the
// store: that error stays what it is.
func storageFailure(err error) error {
	var over *store.QuotaError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, store.ErrOwner):
		return denial(policy.Decision{Error: policy.InvalidToken, Description: "The database belongs to another user"})
	case errors.Is(err, store.ErrCursor), errors.Is(err, store.ErrInvalid):
		return invalid(store.Reason(err))
	case errors.As(err, &over):
		details := strings.TrimPrefix(over.Error(), "quota exceeded: ")
		return &failure{code: codeQuota, message: "Quota exceeded", details: details, quota: over}
	default:
		return &failure{code: codeDatabase, message: "Database operation failed", details: store.Reason(err)}
	}
}
