package tools

import (
	"context"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// codeRefused is the JSON-RPC code of a refusal by the policy where there is no tool
// result to say it in: one of those that JSON-RPC leaves to servers (section 5.1), and of which
// neither MCP nor an SDK makes anything.
const codeRefused = -32010

// authorize asks the policy about a request that is no call of a tool.
func (s *service) authorize(ctx context.Context, request mcp.Request, scope string) policy.Decision {
	question := policy.Request{Scope: scope}
	if params := request.GetParams(); params != nil {
		question.Meta = params.GetMeta()
	}
	if extra := request.GetExtra(); extra != nil {
		question.Headers = extra.Header
	}
	return s.policy.Authorize(ctx, question)
}

// visible says whether the caller is shown what needs the scope. Whoever is not known may
// turn out to have any scope but the administrator's.
func (s *service) visible(ctx context.Context, request mcp.Request, scope string) bool {
	decision := s.authorize(ctx, request, scope)
	return decision.Authorized || decision.Error == policy.MissingToken && scope != policy.ScopeAdmin
}

// seeing is visible for one request, which asks the policy once for each scope.
func (s *service) seeing(ctx context.Context, request mcp.Request) func(scope string) bool {
	known := map[string]bool{}
	return func(scope string) bool {
		seen, asked := known[scope]
		if !asked {
			seen = s.visible(ctx, request, scope)
			known[scope] = seen
		}
		return seen
	}
}

// reach carries out do on the caller's own snapshots, in the caller's order of calls. Its
// error is one of the protocol.
func (s *service) reach(ctx context.Context, request mcp.Request, scope string, do func(store.Store) error) error {
	decision := s.authorize(ctx, request, scope)
	if !decision.Authorized {
		return protocolError(denial(decision))
	}
	wait, done := s.turns.take(decision.UserID)
	defer done()
	if err := wait(ctx); err != nil {
		return err
	}
	snapshots, release, err := s.acquire(ctx, decision)
	if err != nil {
		return protocolError(err)
	}
	defer release()
	err = do(snapshots)
	s.logFailure(err, scope, decision)
	return protocolError(err)
}

// protocolError makes a failure an error of JSON-RPC, for methods whose results have no
// place for one.
func protocolError(err error) error {
	var failed *failure
	if !errors.As(err, &failed) {
		return err
	}
	code := int64(jsonrpc.CodeInternalError)
	switch {
	case failed.denied:
		code = codeRefused
	case failed.code == codeValidation, failed.code == codeNotFound:
		code = jsonrpc.CodeInvalidParams
	}
	return &jsonrpc.Error{Code: code, Message: failed.text()}
}
