package integration_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// attacks are those that gateways of this kind fell to, where that happened, and the tests
// that hold that this one does not. A test of another package is named with its folder.
// Those on tokens, key sets, metadata and sessions have tables of their own, in
// attacktokens_test.go and so on, bound_test.go, introspection_test.go, tokenheader_test.go
// and state_test.go. Each row there is a request to a running gateway.
var attacks = []struct {
	holds         string // the section that the attack breaks
	attack, where string
	tests         []string
}{
	{"RFC 8259 section 4", "key beside another of the same sense: case, folding, escapes, twice", "Envoy GHSA-4gph-2hhr-5mwg; go-sdk CVE-2026-27896",
		[]string{"TestSmuggling", "TestWhatAChildWritesIsReadAsItIs", "caddymodule/internal/message TestParseRefuses"}},
	{"RFC 8259 section 8.1", "byte order mark, batch, deep nesting, newline in a string", "the same",
		[]string{"TestSmuggling", "TestNewlinesInARequestMakeNoSecondMessage", "TestRefusalsOfLegacyRequests", "TestRefusalsOfModernRequests"}},
	{"RFC 3875 section 4.1.18", "identity forged in headers or _meta", "Caddy CVE-2026-30851, CVE-2026-52845",
		[]string{"TestSmuggling", "TestForgedIdentityReachesTheChildInNoMessage", "TestServerCannotStampMessagesToTheClient", "TestIdentityInTheEnvironment",
			"TestProxiedServerIsToldWhoCalls", "TestProxiedBodyIsTheGatewaysOwn", "caddymodule TestCredentialsAndWhatPassesForAnIdentityAreWithheld"}},
	{"RFC 6750 section 5.2", "stream that outlives its token", "",
		[]string{"TestStreamEndsWithItsToken", "TestSubscriptionEndsWithItsToken", "TestProxiedStreamsEndWithTheirToken", "caddymodule TestStreamsEndWithTheirToken"}},
	{"JSON-RPC 2.0, Response object", "ids of two clients collide, progress token of another", "ts-sdk CVE-2026-25536",
		[]string{"TestEqualIDsOfManyUsersAreNotMixed", "TestWhatAChildWritesIsReadAsItIs", "caddymodule/internal/backend TestTheChildNeverSeesAnIDOrATokenTwice"}},
	{"MCP 2025-11-25, Cancellation", "late reply after a cancel, cancel of another's id", "the same",
		[]string{"TestCancellationReachesTheChildUnderItsOwnID", "TestModernClientCancelsByClosingTheStream",
			"caddymodule/internal/bridge TestAClientCancelsItsOwnCallsOnly", "caddymodule/internal/bridge TestASessionCannotCancelAnothersCall"}},
	{"JSON-RPC 2.0, Response object", "answer to what another was asked", "the same",
		[]string{"TestServerAsksItsClientInMidCall", "caddymodule/internal/bridge TestResponsesAreTakenForOpenRequestsOfTheSameSessionOnce"}},
	{"MCP 2025-11-25, Session Management", "session taken over, second GET replaces the stream, guessable id", "ruby-sdk CVE-2026-33946; CVE-2025-6515",
		[]string{"TestSessionIsOfUseToItsOwnerOnly", "TestSessionOfAnotherUserIsAsUnknownAsNone", "TestSessionIDsAreUnguessable",
			"TestProxiedSessionIsOfNoUseToAnotherUser", "TestProxiedSessionComesInByItsHeaderOnly", "caddymodule/internal/sessionid TestBoundIDIsOfUseToItsOwnerOnly",
			"TestEventOfAnotherSessionIsNeverReplayed", "caddymodule/internal/bridge TestTheNewestWriterReceives"}},
	{"RFC 6750 section 3.1", "list cut in one answer and told in another: resumed, by the id of another request, compressed, in a part, in lines that the proxy does not know", "",
		[]string{"TestProxiedListsShowWhatTheirReaderMayUse", "TestResumedProxiedStreamsAreCut", "TestProxiedListIsCutInAnswerToWhateverRequest", "TestProxiedListThatCannotBeReadIsWithheld",
			"caddymodule/internal/excerpt TestEventsAreCutInWhateverLinesTheyCome", "caddymodule/internal/excerpt FuzzEvents"}},
	{"MCP 2025-11-25, Streamable HTTP", "cross-site POST with text/plain, foreign origin", "go-sdk CVE-2026-33252",
		[]string{"TestRefusalsOfLegacyRequests", "TestRefusalsOfModernRequests", "caddymodule/internal/admission TestContentTypes"}},
	{"MCP 2025-11-25, Streamable HTTP", "DNS rebinding", "go-sdk CVE-2026-34742; ts-sdk CVE-2025-66414",
		[]string{"TestReboundNameIsRefusedOnLoopback", "caddymodule/internal/admission TestHostsOnLoopback"}},
	{"RFC 9110 section 7.8", "internal header, another route to the same handler", "Kuadrant GHSA-g53w",
		[]string{"TestNoPathLeadsAroundTheToken", "TestNothingUnauthorizedReachesTheProxiedServer", "TestNoConnectionIsSwitchedPastTheGateway",
			"caddymodule TestSelfCheckSeesTheWaysAroundTheToken", "TestNothingIsCarriedThatWasNotAuthorizedForIt", "caddymodule TestNothingPassesWithoutAToken"}},
	{"RFC 6750 section 3.1", "filter on the list but not on the call", "Obot up to 0.21",
		[]string{"TestNothingStartsForATokenWithoutTheScope", "TestSmuggling", "TestWhatIsNotListedIsRefused"}},
	{"RFC 3986 section 6.2.2", "resource by another spelling of its URI: dots, percent-encoding, hosts, queries", "file servers of all kinds",
		[]string{"TestWhatIsNotListedIsRefused", "caddymodule/internal/policy TestNoSpellingOfAURILeadsAroundARule"}},
	{"RFC 6750 section 3.1", "start without authorization", "mcp-bridge GHSA-wvr4",
		[]string{"TestNothingStartsForWhoMayNotCall", "TestNothingStartsForATokenWithoutTheScope"}},
	{"MCP 2025-11-25, Security Best Practices", "command or arguments from the request", "the 2026 \"stdio by design\" set",
		[]string{"TestBrokenConfigurationKeepsTheOldOneRunning", "TestSubjectThatIsNoFileNameStartsNothing", "caddymodule TestTemplateRefusesValuesThatAreMoreThanAName"}},
	{"RFC 8725 section 3", "wrong audience, id token, alg none, HS256 with the public key", "FastMCP GHSA-c2jp; CVE-2025-69196",
		[]string{"TestNothingStartsForWhoMayNotCall", "caddymodule/internal/oauth TestBadTokensAreRefused"}},
	{"RFC 9449 section 7.1", "stolen token of a client that binds its tokens, used without the key, under another scheme, with another's proof", "RFC 9449; RFC 8705",
		[]string{"TestBoundTokensAreOfUseToTheirSenderOnly", "TestCertificatesOfAnAuthority", "caddymodule/internal/oauth TestBindingOfTheToken"}},
	{"RFC 9449 section 11.1", "proof used again, made in advance, made for another server or request", "RFC 9449 section 11",
		[]string{"TestProofIsGoodOnceOverReloads", "caddymodule/internal/oauth TestProofIsGoodOnceAtAllVerifiersOfAResource", "TestOnlyProvenTokensWithANonceWhereThatIsDemanded", "TestProofIsForTheResourceWhateverHostSays",
			"caddymodule/internal/oauth TestBadProofsAreRefused", "caddymodule/internal/oauth TestFullReplayCacheRefusesAndForgetsNothing"}},
	{"RFC 7519 section 7.2", "assertion of a platform forged, sent twice, or passed on to the server", "",
		[]string{"TestAssertionOfAPlatformTakesThePlaceOfAToken", "TestCredentialsGoNoFurther", "caddymodule TestAssertionIsWithheldInEverySpelling"}},
	{"RFC 7517 section 4.5", "flood of unknown keys, rotation, outage of the issuer", "the same",
		[]string{"TestKeysOfHostileIssuersOpenNothing", "TestNewKeyIsSeenAtOnceAndInventedOnesCostOneFetch", "TestIssuerMayBeDown",
			"TestAuthorizationServerOutOfReachIsNoFaultOfTheToken", "caddymodule/internal/oauth TestUnknownKeyFloodCostsOneFetchAnInterval",
			"caddymodule/internal/oauth TestRotationIsSeenAtOnce", "caddymodule/internal/oauth TestOutageKeepsKeysForAnHourAndThenAnswers503"}},
	{"RFC 8414 section 6.2", "foreign address or endless body through metadata, keys and introspection", "several write-ups",
		[]string{"TestHostileAnswersToAQuestionAboutAToken", "TestKeysOfHostileIssuersOpenNothing", "caddymodule/internal/oauth TestIssuerThatCannotBeAsked", "caddymodule/internal/oauth TestIssuerThatDoesNotAnswerIsGivenUpInTime",
			"caddymodule/internal/oauth TestBadAnswersOfTheIssuer", "caddymodule/internal/oauth TestHungIssuerIsGivenUpInTime",
			"caddymodule/internal/oauth TestRedirectWithinTheOriginIsFollowed", "caddymodule/internal/oauth TestKeysOfAnOutsideIssuerAreNotLookedForOnLoopback"}},
	{"RFC 7662 section 4", "refresh token, token for another resource or none, by introspection; flood of invented tokens", "",
		[]string{"TestOpaqueTokensOfNoUse", "caddymodule/internal/oauth TestAnswersOfTheIssuerAreHeldToTheRulesOfAToken",
			"caddymodule/internal/oauth TestFloodOfOpaqueTokensIsBounded", "caddymodule/internal/oauth TestInventedTokensDoNotPushOutGoodOnes"}},
	{"RFC 9728 section 7.3", "metadata or challenge that speaks for the attacker", "agentgateway 449, 545; RFC 9728 section 7.3",
		[]string{"TestMetadataSpeaksForNobodyElse", "TestProtectedResourceMetadata", "caddymodule TestMetadataIsServedToAnyone"}},
	{"RFC 6750 section 5.3", "token, proof, assertion or session's id taken from a log", "",
		[]string{"TestNoLogHoldsASecret", "TestNoSecretOfARefusedRequestIsLogged", "caddymodule TestHandlersSeeWhatTheLogsDoNot"}},
	{"MCP 2026-07-28, Multi Round-Trip Requests", "requestState forged, replayed, given to another user", "",
		[]string{"TestRequestStateIsOfOneUserAndOneCall", "caddymodule/internal/bridge TestAStateIsGoodOnceForItsUserAndItsCall", "caddymodule/internal/seal TestOpenRefusesWhatWasNotMadeHere"}},
}

// section is how the place of a rule is named, in an RFC or in the protocols above HTTP.
var section = regexp.MustCompile(`^(RFC [1-9]\d{3} section [1-9]\d*(\.[1-9]\d*)*(, check \d+)?|(MCP \d{4}-\d\d-\d\d|JSON-RPC 2\.0), [A-Z][A-Za-z -]+)$`)

// holding runs a row of a table of attacks. It has to name the section that it holds.
func holding(t *testing.T, holds, name string, row func(*testing.T)) {
	t.Helper()
	if !section.MatchString(holds) {
		t.Errorf("%s: %q names no section", name, holds)
	}
	t.Run(holds+" "+name, row)
}

// A table of attacks in which a row could do without a section would not show what is held.
func TestSectionsAreNamedInOneWay(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"RFC 9449 section 4.3, check 8": true, "RFC 6750 section 2": true, specification: true, "JSON-RPC 2.0, Response object": true,
		"": false, "RFC 9449": false, "RFC 9449 4.3": false, "RFC 9449 section ": false, "RFC 9449 section 4.": false, "MCP": false, "x": false,
	} {
		if section.MatchString(name) != good {
			t.Errorf("%q: %v", name, !good)
		}
	}
}

// The table above is worth what its tests are, so they must be there.
func TestEveryAttackHasItsTests(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel("..", filepath.Dir(path))
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
				there[filepath.ToSlash(folder)+" "+f.Name.Name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attacks {
		if len(a.tests) == 0 || !section.MatchString(a.holds) {
			t.Errorf("%s: no test, or no section: %q", a.attack, a.holds)
		}
		for _, test := range a.tests {
			if !strings.Contains(test, " ") {
				test = "integration " + test
			}
			if !there[test] {
				t.Errorf("%s: there is no %s", a.attack, test)
			}
		}
	}
}
