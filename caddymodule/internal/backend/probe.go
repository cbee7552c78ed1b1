package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/snapgate/snapgate/caddymodule/internal/message"
	"github.com/snapgate/snapgate/caddymodule/internal/protocol"
)

// Version of the gateway, as it names itself to servers.
const Version = "0.1.0"

// Probe finds the era of a fresh process by server/discover. A result, or an error
// that only a modern server gives, means modern; any other error means legacy; so
// does silence until the context ends, but such a process is of no more use: it may
// answer yet. The error says that the process ended.
//
// Never probe a process meant for a legacy client: a server of both eras that has
// seen server/discover refuses initialize.
//
// answered is what it said; nil after silence.
func (c *Conn) Probe(ctx context.Context) (era protocol.Era, answered *message.Message, err error) {
	answered, err = c.Ask(ctx, discover)
	switch {
	case errors.Is(err, ErrSilent):
		return protocol.Legacy, nil, nil
	case err != nil:
		return 0, nil, err
	}
	return eraOfAnswer(answered), answered, nil
}

var discover = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":%q,"params":{"_meta":%s}}`, message.MethodDiscover, OwnMeta)

// OwnMeta is the _meta of the gateway's own requests to modern servers.
var OwnMeta = fmt.Appendf(nil, `{%q:%q,%q:{},%q:{"name":"snapgate","version":%q}}`,
	message.MetaProtocolVersion, protocol.Version20260728, message.MetaClientCapabilities, message.MetaClientInfo, Version)

func eraOfAnswer(m *message.Message) protocol.Era {
	if !m.IsError() {
		if m.Result.Get("supportedVersions") != nil || m.Result.Get("capabilities") != nil {
			return protocol.Modern
		}
		return protocol.Legacy // a result, but not of server/discover
	}
	code := string(m.Error.Get("code"))
	recognised := []string{fmt.Sprint(protocol.CodeHeaderMismatch), fmt.Sprint(protocol.CodeMissingCapability), fmt.Sprint(protocol.CodeUnsupportedVersion)}
	if slices.Contains(recognised, code) {
		return protocol.Modern
	}
	return protocol.Legacy
}
