package tools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/identity"
	"github.com/snapgate/snapgate/snapshotd/internal/jsjson"
	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// Options are what a server is made of.
type Options struct {
	Stores  store.Provider
	Policy  policy.AuthorizationPolicy
	Version string
	// OneUser says that Stores has one user's snapshots only, so that there are none of others
	// for administrators. With [policy.NoAuth] it is so in any case.
	OneUser bool
	// Retention is what the stores apply, to be told to users.
	Retention store.Retention
	// Subscriptions are told by the stores of what changed. If it is nil, clients hear of no
	// changes.
	Subscriptions *Subscriptions
	Logger        *slog.Logger // nil discards
	// Admitted, if not nil, is called once for each call that has taken its place in
	// its user's order of calls. The stdio transport waits for it.
	Admitted func()
}

// NewServer makes the MCP server.
func NewServer(options Options) *mcp.Server {
	s := newService(options)
	server := mcp.NewServer(
		&mcp.Implementation{Name: "snapshotd", Title: "Conversation snapshots", Version: options.Version},
		&mcp.ServerOptions{
			Logger:             s.logger,
			Capabilities:       s.capabilities(),
			CompletionHandler:  s.complete,
			SubscribeHandler:   s.subscribe,
			UnsubscribeHandler: s.unsubscribe,
			// What there is depends on who asks.
			SetCacheable: func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.CacheScope = "private" },
		},
	)
	for _, tool := range s.catalogue.list {
		server.AddTool(tool.definition, s.call)
	}
	server.AddPrompt(resumePrompt(), s.resume)
	for _, resource := range fixedResources() {
		server.AddResource(resource.Resource, s.read)
	}
	for _, template := range templates() {
		server.AddResourceTemplate(template.ResourceTemplate, s.read)
	}
	server.AddReceivingMiddleware(s.survive, s.unknownTools, s.lists, s.standing)
	s.subscriptions.attach(server)
	return server
}

func newService(options Options) *service {
	_, local := options.Policy.(policy.NoAuth)
	s := &service{
		stores: options.Stores, policy: options.Policy, local: local,
		logger: options.Logger, admitted: options.Admitted, subscriptions: options.Subscriptions,
		catalogue: newCatalogue(options.Retention, !local && !options.OneUser),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.admitted == nil {
		s.admitted = func() {}
	}
	if s.subscriptions == nil {
		s.subscriptions = new(Subscriptions)
	}
	s.subscriptions.logger = s.logger
	return s
}

// capabilities are those that go-sdk does not infer as they are. Tools and prompts never
// change, and nothing is logged to the client. That updates say whom they are for is what
// the gateway asks for before it lets users of one process subscribe.
func (s *service) capabilities() *mcp.ServerCapabilities {
	c := &mcp.ServerCapabilities{
		Tools:     &mcp.ToolCapabilities{},
		Prompts:   &mcp.PromptCapabilities{},
		Resources: &mcp.ResourceCapabilities{ListChanged: true, Subscribe: true},
	}
	if !s.local {
		c.Experimental = map[string]any{identity.UpdateKey: struct{}{}}
	}
	return c
}

// service carries out calls.
type service struct {
	stores        store.Provider
	policy        policy.AuthorizationPolicy
	local         bool // for the one local user
	catalogue     *catalogue
	subscriptions *Subscriptions
	logger        *slog.Logger
	turns         turns
	admitted      func()
}

// survive answers a request whose handling panics: it must not take those of others with
// it. Tools have an answer of their own for that.
func (s *service) survive(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (result mcp.Result, err error) {
		defer func() {
			if p := recover(); p != nil {
				s.logger.Error("panic in a request", "method", method, "panic", p, "stack", string(debug.Stack()))
				result, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "Internal error"}
			}
		}()
		return next(ctx, method, request)
	}
}

// unknownTools answers a call of a tool that there is not with the text of the
// original, where go-sdk would answer with a JSON-RPC error: a model gets to read
// the one and not the other.
func (s *service) unknownTools(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		call, ok := request.(*mcp.CallToolRequest)
		if ok && method == "tools/call" && s.catalogue.find(call.Params.Name) == nil {
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
	result, err = answered(s.perform(ctx, request))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", request.Params.Name, err)
	}
	return result, nil
}

// answered makes a failure the result that tells of it.
func answered(result *mcp.CallToolResult, err error) (*mcp.CallToolResult, error) {
	var failed *failure
	if errors.As(err, &failed) {
		return failed.result(), nil
	}
	return result, err
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
	tool := s.catalogue.find(params.Name)
	if tool == nil {
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
	if tool.others != nil {
		s.logger.Warn("an administrator's call", "tool", params.Name, "by", decision.UserID, "user", arguments.Get("user").Text())
		result, err := tool.others(ctx, s.stores, arguments)
		s.logFailure(err, params.Name, decision)
		return result, err
	}
	return s.performOwn(ctx, tool, decision, arguments)
}

// performOwn carries out a tool for the caller's own snapshots.
func (s *service) performOwn(ctx context.Context, tool *tool, decision policy.Decision, arguments jsjson.Value) (*mcp.CallToolResult, error) {
	snapshots, release, err := s.acquire(ctx, decision)
	if err != nil {
		return nil, err
	}
	defer release()
	result, err := tool.own(ctx, snapshots, arguments)
	s.logFailure(err, tool.definition.Name, decision)
	var failed *failure
	if over := errors.As(err, &failed) && failed.quota != nil; err == nil || over {
		if result, err = answered(result, err); err == nil {
			s.reportUse(ctx, snapshots, result)
		}
	}
	return result, err
}

// acquire opens the caller's store.
func (s *service) acquire(ctx context.Context, decision policy.Decision) (store.Store, func(), error) {
	snapshots, release, err := s.stores.Acquire(ctx, ownerOf(decision))
	if err != nil {
		s.logger.Error("cannot open the database", "user", decision.UserID, "error", err)
		return nil, nil, storageFailure(err)
	}
	return snapshots, release, nil
}

func (s *service) logFailure(err error, doing string, decision policy.Decision) {
	var failed *failure
	if errors.As(err, &failed) && failed.code == codeDatabase {
		s.logger.Error("database operation failed", "doing", doing, "user", decision.UserID, "details", failed.details)
	}
}

func ownerOf(d policy.Decision) store.Owner {
	if d.Identity == nil {
		return store.Owner{User: d.UserID}
	}
	return store.Owner{User: d.UserID, Issuer: d.Identity.Issuer, Subject: d.Identity.Subject}
}
