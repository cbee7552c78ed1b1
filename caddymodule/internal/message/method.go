package message

// Methods that the gateway itself has to know. All others are carried unseen.
const (
	MethodInitialize    = "initialize"
	MethodInitialized   = "notifications/initialized"
	MethodDiscover      = "server/discover"
	MethodPing          = "ping"
	MethodCancelled     = "notifications/cancelled"
	MethodProgress      = "notifications/progress"
	MethodLog           = "notifications/message"
	MethodSetLevel      = "logging/setLevel"
	MethodToolsCall     = "tools/call"
	MethodToolsList     = "tools/list"
	MethodPromptsGet    = "prompts/get"
	MethodPromptsList   = "prompts/list"
	MethodRead          = "resources/read"
	MethodResourcesList = "resources/list"
	MethodTemplatesList = "resources/templates/list"
	MethodSubscribe     = "resources/subscribe"
	MethodUnsubscribe   = "resources/unsubscribe"
	MethodUpdated       = "notifications/resources/updated"
	MethodComplete      = "completion/complete"
	MethodListen        = "subscriptions/listen"
	MethodAcknowledge   = "notifications/subscriptions/acknowledged"
	MethodTasksGet      = "tasks/get"
	MethodTasksUpdate   = "tasks/update"
	MethodTasksCancel   = "tasks/cancel"
)

// IsRequest says whether a method of the protocol is a request of a client, which has an
// id. Of methods that it does not know it says no.
func IsRequest(method string) bool {
	switch method {
	case MethodInitialize, MethodDiscover, MethodPing, MethodToolsCall, MethodToolsList, MethodPromptsGet, MethodPromptsList,
		MethodRead, MethodResourcesList, MethodTemplatesList, MethodSubscribe, MethodUnsubscribe,
		MethodComplete, MethodSetLevel, MethodListen, MethodTasksGet, MethodTasksUpdate, MethodTasksCancel,
		"tasks/list", "tasks/result":
		return true
	}
	return false
}

// Keys of _meta that the protocol defines (version 2026-07-28).
const (
	MetaProtocolVersion    = "io.modelcontextprotocol/protocolVersion"
	MetaClientCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaClientInfo         = "io.modelcontextprotocol/clientInfo"
	MetaLogLevel           = "io.modelcontextprotocol/logLevel"
	MetaServerInfo         = "io.modelcontextprotocol/serverInfo"
	MetaSubscriptionID     = "io.modelcontextprotocol/subscriptionId"
	MetaProgressToken      = "progressToken"
)

// interned returns the method as a string without allocating for the usual ones.
func interned(b []byte) string {
	switch string(b) {
	case MethodInitialize:
		return MethodInitialize
	case MethodInitialized:
		return MethodInitialized
	case MethodDiscover:
		return MethodDiscover
	case MethodPing:
		return MethodPing
	case MethodCancelled:
		return MethodCancelled
	case MethodProgress:
		return MethodProgress
	case MethodLog:
		return MethodLog
	case MethodToolsCall:
		return MethodToolsCall
	case MethodToolsList:
		return MethodToolsList
	case MethodPromptsGet:
		return MethodPromptsGet
	case MethodRead:
		return MethodRead
	case MethodListen:
		return MethodListen
	case MethodAcknowledge:
		return MethodAcknowledge
	}
	return string(b)
}
