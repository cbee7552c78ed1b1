//lint:file-ignore SA1019 Legacy clients have sampling, and it must go on working.

package integration_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A client of an old version gets all of a server that has no sessions: its questions in
// mid-call, in several rounds and several at once, and changes of its lists.
func TestALegacyClientGetsAllOfAModernServer(t *testing.T) {
	t.Parallel()
	command := []string{build(t, "./internal/without"), "initialize", build(t, everythingServer)}
	for _, per := range []string{"session", "user", "shared"} {
		t.Run(per, func(t *testing.T) {
			t.Parallel()
			g := start(t, site{command: command, stdio: []string{"per " + per}})
			changed := make(chan struct{}, 1)
			var asked atomic.Int32
			session := g.dial(t, g.token(t, "alice"), legacyVersion, &mcp.ClientOptions{
				ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
					asked.Add(1)
					return &mcp.ElicitResult{Action: "accept", Content: object{"name": "Ada", "color": "blue", "confirmed": true}}, nil
				},
				CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
					asked.Add(1)
					return &mcp.CreateMessageResult{Role: "assistant", Model: "m", Content: &mcp.TextContent{Text: "Paris"}}, nil
				},
				ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {
					select {
					case changed <- struct{}{}:
					default:
					}
				},
			})
			for tool, questions := range map[string]int32{
				"test_input_required_result_elicitation": 1, "test_input_required_result_sampling": 1,
				"test_input_required_result_multiple_inputs": 2, "test_input_required_result_multi_round": 2,
			} {
				asked.Store(0)
				if text, err := tryUse(session, tool, object{}); err != nil || asked.Load() != questions {
					t.Errorf("%s: asked %d times, want %d; %q %v", tool, asked.Load(), questions, text, err)
				}
			}
			if text := use(t, session, "test_simple_text", object{}); !strings.Contains(text, "simple text") {
				t.Errorf("test_simple_text says %q", text)
			}
			await(t, "the news that the tools have changed", func() bool {
				use(t, session, "test_trigger_tool_change", object{})
				select {
				case <-changed:
					return true
				default:
					return false
				}
			})
		})
	}
}
