package tools

import (
	"context"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/snapgate/snapgate/snapshotd/internal/policy"
	"github.com/snapgate/snapgate/snapshotd/internal/store"
)

const resumeName = "resume"

// maxCompleted is the most that a completion holds (2025-11-25, Completion, Response).
const maxCompleted = 100

func resumePrompt() *mcp.Prompt {
	return &mcp.Prompt{
		Name: resumeName, Title: "Resume a conversation",
		Description: "Go on where a snapshot was saved: the newest of a name, the one of an id, or the newest of all.",
		Arguments: []*mcp.PromptArgument{
			{Name: "name", Title: "Name", Description: "The name that the snapshot was saved under"},
			{Name: "id", Title: "Id", Description: "The snapshot's number, in place of the name"},
		},
	}
}

// resume answers prompts/get. It takes the arguments as load_snapshot does.
func (s *service) resume(ctx context.Context, request *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	var result *mcp.GetPromptResult
	err := s.reach(ctx, request, policy.ScopeRead, func(snapshots store.Store) error {
		var id *snapshotID
		if text := request.Params.Arguments["id"]; text != "" {
			id = &snapshotID{text: text}
			id.value, id.whole = wholeText(text)
		}
		snapshot, err := lookUp(ctx, snapshots, id, request.Params.Arguments["name"])
		if err != nil {
			return err
		}
		result = &mcp.GetPromptResult{
			Description: oneLine(snapshot.Summary),
			Messages:    []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: snapshot.ContinuationPrompt}}},
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// complete answers completion/complete: names and ids that begin as what was typed. There
// is nothing to complete for whoever may not read.
func (s *service) complete(ctx context.Context, request *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	result := &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{}}}
	typed := request.Params.Argument.Value
	var values func(context.Context, store.Store, string) ([]string, error)
	switch ref, argument := request.Params.Ref, request.Params.Argument.Name; {
	case ref.Type == "ref/prompt" && ref.Name == resumeName && argument == "name":
		values = names
	case ref.Type == "ref/prompt" && ref.Name == resumeName && argument == "id",
		ref.Type == "ref/resource" && ref.URI == snapshotURI+"{id}" && argument == "id":
		values = ids
	case ref.Type == "ref/resource" && strings.HasPrefix(ref.URI, exportURI) && argument == "format":
		for _, format := range []string{jsonLines, markdown} {
			if strings.HasPrefix(format, typed) {
				result.Completion.Values = append(result.Completion.Values, format)
			}
		}
		return result, nil
	default:
		return result, nil
	}
	if !s.authorize(ctx, request, policy.ScopeRead).Authorized {
		return result, nil
	}
	err := s.reach(ctx, request, policy.ScopeRead, func(snapshots store.Store) error {
		found, err := values(ctx, snapshots, typed)
		if err != nil {
			return storageFailure(err)
		}
		if len(found) > maxCompleted {
			found, result.Completion.HasMore = found[:maxCompleted], true
		}
		result.Completion.Values = append(result.Completion.Values, found...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

func names(ctx context.Context, s store.Store, typed string) ([]string, error) {
	return s.Names(ctx, typed, maxCompleted+1)
}

// ids looks among the newest snapshots: whoever types the number of an older one knows it.
func ids(ctx context.Context, s store.Store, typed string) ([]string, error) {
	entries, err := s.List(ctx, store.MaxPage)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if id := strconv.FormatInt(e.ID, 10); strings.HasPrefix(id, typed) {
			found = append(found, id)
		}
	}
	return found, nil
}
