package tools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// Options are what a server is made of. Logger and Admitted may be nil.
type Options struct {
	Stores  store.Provider
	Policy  policy.AuthorizationPolicy
	Version string
	Logger  *slog.Logger // nil discards
	// Admitted, if not nil, is called once for each call that has taken its place in
	// its user's order of calls. The stdio transport waits for it.
	Admitted func()
}

// NewServer makes the MCP server with the four tools.
func NewServer(options Options) *mcp.Server {
	logger := options.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &service{stores: options.Stores, policy: options.Policy, logger: logger, admitted: options.Admitted}
	if s.admitted == nil {
		s.admitted = func() {}
	}
	server := mcp.NewServer(
		&mcp.Implementation{Name: "snapshotd", Title: "Conversation snapshots", Version: options.Version},
		&mcp.ServerOptions{
			Logger: logger,
			// The tools never change, and nothing is logged to the client.
			Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}},
		},
	)
	for _, tool := range Definitions() {
		server.AddTool(tool, s.call)
	}
	server.AddReceivingMiddleware(s.unknownTools)
	return server
}

// service carries out calls.
type service struct {
	stores   store.Provider
	policy   policy.AuthorizationPolicy
	logger   *slog.Logger
	turns    turns
	admitted func()
}

// operation is one tool. Its error is a *failure or one of the protocol.
type operation func(ctx context.Context, s store.Store, arguments jsjson.Value) (*mcp.CallToolResult, error)

func operationOf(tool string) operation {
	switch tool {
	case saveTool:
		return save
	case loadTool:
		return load
	case listTool:
		return list
	case deleteTool:
		return remove
	default:
		return nil
	}
}

// unknownTools answers a call of a tool that there is not with the text of the
// original, where go-sdk would answer with a JSON-RPC error: a model gets to read
// the one and not the other.
func (s *service) unknownTools(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		call, ok := request.(*mcp.CallToolRequest)
		if ok && method == "tools/call" && operationOf(call.Params.Name) == nil {
			return s.call(ctx, call)
		}
		return next(ctx, method, request)
	}
}

// call answers tools/call. A panic becomes an answer too: it must not take the
// calls of others with it.
func (s *service) call(ctx context.Context, request *mcp.CallToolRequest) (result *mcp.CallToolResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("panic in a tool", "tool", request.Params.Name, "panic", p, "stack", string(debug.Stack()))
			result, err = (&failure{code: codeInternal, message: "Internal error"}).result(), nil
		}
	}()
	result, err = s.perform(ctx, request)
	var failed *failure
	if errors.As(err, &failed) {
		return failed.result(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", request.Params.Name, err)
	}
	return result, nil
}

// perform decides first and reads the arguments after, so that who may not use a
// tool learns nothing from it.
func (s *service) perform(ctx context.Context, request *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	params := request.Params
	question := policy.Request{Tool: params.Name, Meta: params.GetMeta(), Arguments: params.Arguments}
	if request.Extra != nil {
		question.Headers = request.Extra.Header
	}
	decision := s.policy.Authorize(ctx, question)
	if !decision.Authorized {
		return nil, denial(decision)
	}
	run := operationOf(params.Name)
	if run == nil {
		return nil, &failure{code: codeUnknownTool, message: "Unknown tool: " + params.Name}
	}
	wait, done := s.turns.take(decision.UserID)
	defer done()
	s.admitted()
	arguments, err := parseArguments(params.Arguments)
	if err != nil {
		return nil, err
	}
	if err := wait(ctx); err != nil {
		return nil, err
	}
	snapshots, release, err := s.stores.Acquire(ctx, ownerOf(decision))
	if err != nil {
		s.logger.Error("cannot open the database", "user", decision.UserID, "error", err)
		return nil, storageFailure(err)
	}
	defer release()
	result, err := run(ctx, snapshots, arguments)
	var failed *failure
	if errors.As(err, &failed) && failed.code == codeDatabase {
		s.logger.Error("database operation failed", "tool", params.Name, "user", decision.UserID, "details", failed.details)
	}
	return result, err
}

func ownerOf(d policy.Decision) store.Owner {
	if d.Identity == nil {
		return store.Owner{User: d.UserID}
	}
	return store.Owner{User: d.UserID, Issuer: d.Identity.Issuer, Subject: d.Identity.Subject}
}
