package tools

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

// The URIs of resources.
const (
	snapshotURI = "snapshot://"
	latestURI   = snapshotURI + "latest"
	exportURI   = snapshotURI + "export/" // and the format
)

// nextKey is the _meta key of a page of an export under which stands the URI of the next.
const nextKey = "io.github.snapgate.snapshotd/next"

const plainText = "text/plain"

// exportTypes are the MIME types of the formats.
var exportTypes = map[string]string{jsonLines: "application/jsonl", markdown: "text/markdown"}

// scopedResource is a resource, and the scope that it takes to see and read it.
type scopedResource struct {
	*mcp.Resource
	scope string
}

// scopedTemplate is the same of a template.
type scopedTemplate struct {
	*mcp.ResourceTemplate
	scope string
}

// fixedResources are those that everyone has.
func fixedResources() []scopedResource {
	export := func(format, title string) scopedResource {
		return scopedResource{&mcp.Resource{
			URI: exportURI + format, Name: "export-" + format, Title: title, MIMEType: exportTypes[format],
			Description: "All snapshots, the oldest first; _meta names the next page",
		}, policy.ScopeExport}
	}
	return []scopedResource{
		{&mcp.Resource{
			URI: latestURI, Name: "latest", Title: "The latest snapshot", MIMEType: plainText,
			Description: "The text that resumes the conversation that was saved last",
		}, policy.ScopeRead},
		export(jsonLines, "All snapshots as JSON Lines"),
		export(markdown, "All snapshots as Markdown"),
	}
}

func templates() []scopedTemplate {
	return []scopedTemplate{
		{&mcp.ResourceTemplate{
			URITemplate: snapshotURI + "{id}", Name: "snapshot", Title: "A snapshot", MIMEType: plainText,
			Description: "The text that resumes a saved conversation",
		}, policy.ScopeRead},
		{&mcp.ResourceTemplate{
			URITemplate: exportURI + "{format}{?cursor}", Name: "export", Title: "All snapshots, a page at a time",
			Description: "The format is jsonl or markdown; _meta of a page names the next",
		}, policy.ScopeExport},
	}
}

// changes says whether clients can be told of changes of a resource.
func changes(uri string) bool {
	_, ok := idOf(uri)
	return ok || uri == latestURI
}

// idOf reads the id of a snapshot from its URI. It takes one form of it only, the one
// under which changes are told.
func idOf(uri string) (int64, bool) {
	id, err := strconv.ParseInt(strings.TrimPrefix(uri, snapshotURI), 10, 64)
	return id, err == nil && uriOf(id) == uri
}

// read answers resources/read.
func (s *service) read(ctx context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	uri := request.Params.URI
	if strings.HasPrefix(uri, exportURI) {
		return s.readExport(ctx, request)
	}
	var content *mcp.ResourceContents
	err := s.reach(ctx, request, policy.ScopeRead, func(snapshots store.Store) error {
		var snapshot store.Snapshot
		var err error
		if uri == latestURI {
			snapshot, err = snapshots.LoadNewest(ctx)
		} else if id, ok := idOf(uri); ok {
			snapshot, err = snapshots.Load(ctx, id)
		} else {
			err = store.ErrNotFound
		}
		if errors.Is(err, store.ErrNotFound) {
			return mcp.ResourceNotFoundError(uri)
		}
		if err != nil {
			return storageFailure(err)
		}
		content = &mcp.ResourceContents{URI: uri, MIMEType: plainText, Text: snapshot.ContinuationPrompt}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{content}}, nil
}

func (s *service) readExport(ctx context.Context, request *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	uri, err := url.Parse(request.Params.URI)
	if err != nil {
		return nil, mcp.ResourceNotFoundError(request.Params.URI)
	}
	format := strings.TrimPrefix(uri.Path, "/")
	content := &mcp.ResourceContents{URI: request.Params.URI, MIMEType: exportTypes[format]}
	err = s.reach(ctx, request, policy.ScopeExport, func(snapshots store.Store) error {
		if content.MIMEType == "" {
			return mcp.ResourceNotFoundError(request.Params.URI)
		}
		page, err := exportPage(ctx, snapshots, format, uri.Query().Get("cursor"), defaultExported)
		if err != nil {
			return err
		}
		if page.NextCursor != "" {
			content.Meta = mcp.Meta{nextKey: exportURI + format + "?cursor=" + url.QueryEscape(page.NextCursor)}
		}
		content.Text, err = page.text()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{content}}, nil
}

// listedResources is how many snapshots a page of resources has.
const listedResources = 100

// listResources answers resources/list: what everyone has, and the caller's snapshots. To
// whoever is not known there are none of the latter.
func (s *service) listResources(ctx context.Context, request *mcp.ListResourcesRequest) (mcp.Result, error) {
	if request.Params == nil { // legacy clients need not send any
		request.Params = &mcp.ListResourcesParams{}
	}
	cursor := request.Params.Cursor
	result := &mcp.ListResourcesResult{Resources: []*mcp.Resource{}, Cacheable: mcp.Cacheable{CacheScope: "private"}}
	if cursor == "" {
		for _, r := range fixedResources() {
			if s.visible(ctx, request, r.scope) {
				result.Resources = append(result.Resources, r.Resource)
			}
		}
	}
	if !s.authorize(ctx, request, policy.ScopeRead).Authorized {
		return result, nil
	}
	err := s.reach(ctx, request, policy.ScopeRead, func(snapshots store.Store) error {
		page, err := snapshots.Page(ctx, store.Filter{}, cursor, listedResources)
		if err != nil {
			return storageFailure(err)
		}
		result.NextCursor = page.Next
		for _, e := range page.Entries {
			result.Resources = append(result.Resources, resourceOf(e))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

func resourceOf(e store.Entry) *mcp.Resource {
	name := oneLine(e.Name)
	if name == "" {
		name = "snapshot-" + strconv.FormatInt(e.ID, 10)
	}
	return &mcp.Resource{
		URI: uriOf(e.ID), Name: name, Title: label(e.ID, oneLine(e.Name)), Description: e.Summary, MIMEType: plainText,
		Annotations: &mcp.Annotations{LastModified: strings.Replace(e.CreatedAt, " ", "T", 1) + "Z"},
	}
}

// lists shows callers what their scopes allow. The original's tools are shown to all.
func (s *service) lists(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		if r, ok := request.(*mcp.ListResourcesRequest); ok {
			return s.listResources(ctx, r)
		}
		result, err := next(ctx, method, request)
		sees := s.seeing(ctx, request)
		switch r := result.(type) {
		case *mcp.ListToolsResult:
			shown := r.Tools[:0]
			for _, t := range r.Tools {
				if original(t.Name) || sees(policy.RequiredScope(t.Name)) {
					shown = append(shown, t)
				}
			}
			r.Tools = shown
		case *mcp.ListPromptsResult:
			if !sees(policy.ScopeRead) {
				r.Prompts = r.Prompts[:0]
			}
		case *mcp.ListResourceTemplatesResult:
			r.ResourceTemplates = r.ResourceTemplates[:0]
			for _, t := range templates() {
				if sees(t.scope) {
					r.ResourceTemplates = append(r.ResourceTemplates, t.ResourceTemplate)
				}
			}
		}
		return result, err
	}
}
