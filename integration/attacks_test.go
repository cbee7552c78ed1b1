package integration_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// attacks are those that gateways of this kind fell to, where that happened, and the tests
// that hold that this one does not. A test of another package is named with its folder.
// Those on tokens, key sets, metadata and sessions have a table each, attacktokens_test.go
// and so on, with a row an attack that names the section it breaks.
var attacks = []struct {
	attack, where string
	tests         []string
}{
	{"key beside another of the same sense: case, folding, escapes, twice", "Envoy GHSA-4gph-2hhr-5mwg; go-sdk CVE-2026-27896",
		[]string{"TestSmuggling", "TestWhatAChildWritesIsReadAsItIs", "caddymodule/internal/message TestParseRefuses"}},
	{"byte order mark, batch, deep nesting, newline in a string", "the same",
		[]string{"TestSmuggling", "TestNewlinesInARequestMakeNoSecondMessage", "TestRefusalsOfLegacyRequests", "TestRefusalsOfModernRequests"}},
	{"identity forged in headers or _meta", "Caddy CVE-2026-30851, CVE-2026-52845",
		[]string{"TestSmuggling", "TestForgedIdentityReachesTheChildInNoMessage", "TestServerCannotStampMessagesToTheClient", "TestIdentityInTheEnvironment",
			"TestProxiedServerIsToldWhoCalls", "TestProxiedBodyIsTheGatewaysOwn", "caddymodule TestCredentialsAndWhatPassesForAnIdentityAreWithheld"}},
	{"stream that outlives its token", "",
		[]string{"TestStreamEndsWithItsToken", "TestSubscriptionEndsWithItsToken", "TestProxiedStreamsEndWithTheirToken", "caddymodule TestStreamsEndWithTheirToken"}},
	{"ids of two clients collide, progress token of another", "ts-sdk CVE-2026-25536",
		[]string{"TestEqualIDsOfManyUsersAreNotMixed", "TestWhatAChildWritesIsReadAsItIs", "caddymodule/internal/backend TestTheChildNeverSeesAnIDOrATokenTwice"}},
	{"late reply after a cancel, cancel of another's id", "the same",
		[]string{"TestCancellationReachesTheChildUnderItsOwnID", "TestModernClientCancelsByClosingTheStream",
			"caddymodule/internal/bridge TestAClientCancelsItsOwnCallsOnly", "caddymodule/internal/bridge TestASessionCannotCancelAnothersCall"}},
	{"answer to what another was asked", "the same",
		[]string{"TestServerAsksItsClientInMidCall", "caddymodule/internal/bridge TestResponsesAreTakenForOpenRequestsOfTheSameSessionOnce"}},
	{"session taken over, second GET replaces the stream, guessable id", "ruby-sdk CVE-2026-33946; CVE-2025-6515",
		[]string{"TestSessionIsOfUseToItsOwnerOnly", "TestSessionOfAnotherUserIsAsUnknownAsNone", "TestSessionIsOfIssuerAndSubject", "TestSessionIDsAreUnguessable",
			"TestProxiedSessionIsOfNoUseToAnotherUser", "TestProxiedSessionComesInByItsHeaderOnly", "caddymodule/internal/sessionid TestBoundIDIsOfUseToItsOwnerOnly",
			"TestEventOfAnotherSessionIsNeverReplayed", "caddymodule/internal/bridge TestTheNewestWriterReceives"}},
	{"list cut in one answer and told in another: resumed, by the id of another request, compressed, in a part, in lines that the proxy does not know", "",
		[]string{"TestProxiedListsShowWhatTheirReaderMayUse", "TestResumedProxiedStreamsAreCut", "TestProxiedListIsCutInAnswerToWhateverRequest", "TestProxiedListThatCannotBeReadIsWithheld",
			"caddymodule/internal/excerpt TestEventsAreCutInWhateverLinesTheyCome", "caddymodule/internal/excerpt FuzzEvents"}},
	{"cross-site POST with text/plain, foreign origin", "go-sdk CVE-2026-33252",
		[]string{"TestRefusalsOfLegacyRequests", "TestRefusalsOfModernRequests", "caddymodule/internal/admission TestContentTypes"}},
	{"DNS rebinding", "go-sdk CVE-2026-34742; ts-sdk CVE-2025-66414",
		[]string{"TestReboundNameIsRefusedOnLoopback", "caddymodule/internal/admission TestHostsOnLoopback"}},
	{"internal header, another route to the same handler", "Kuadrant GHSA-g53w",
		[]string{"TestNoPathLeadsAroundTheToken", "TestNothingUnauthorizedReachesTheProxiedServer", "TestNoConnectionIsSwitchedPastTheGateway",
			"caddymodule TestSelfCheckSeesTheWaysAroundTheToken", "TestNothingIsCarriedThatWasNotAuthorizedForIt", "caddymodule TestNothingPassesWithoutAToken"}},
	{"filter on the list but not on the call", "Obot up to 0.21",
		[]string{"TestNothingStartsForATokenWithoutTheScope", "TestSmuggling", "TestWhatIsNotListedIsRefused"}},
	{"resource by another spelling of its URI: dots, percent-encoding, hosts, queries", "file servers of all kinds",
		[]string{"TestWhatIsNotListedIsRefused", "caddymodule/internal/policy TestNoSpellingOfAURILeadsAroundARule"}},
	{"start without authorization", "mcp-bridge GHSA-wvr4",
		[]string{"TestNothingStartsForWhoMayNotCall", "TestNothingStartsForATokenWithoutTheScope"}},
	{"command or arguments from the request", "the 2026 \"stdio by design\" set",
		[]string{"TestBrokenConfigurationKeepsTheOldOneRunning", "TestSubjectThatIsNoFileNameStartsNothing", "caddymodule TestTemplateRefusesValuesThatAreMoreThanAName"}},
	{"wrong audience, id token, alg none, HS256 with the public key", "FastMCP GHSA-c2jp; CVE-2025-69196",
		[]string{"TestNothingStartsForWhoMayNotCall", "caddymodule/internal/oauth TestBadTokensAreRefused"}},
	{"stolen token of a client that binds its tokens, used without the key, under another scheme, with another's proof", "RFC 9449; RFC 8705",
		[]string{"TestBoundTokensAreOfUseToTheirSenderOnly", "TestCertificatesOfAnAuthority", "caddymodule/internal/oauth TestBindingOfTheToken"}},
	{"proof used again, made in advance, made for another server or request", "RFC 9449 section 11",
		[]string{"TestProofIsGoodOnceOverReloads", "caddymodule/internal/oauth TestProofIsGoodOnceAtAllVerifiersOfAResource", "TestOnlyProvenTokensWithANonceWhereThatIsDemanded", "TestProofIsForTheResourceWhateverHostSays",
			"caddymodule/internal/oauth TestBadProofsAreRefused", "caddymodule/internal/oauth TestFullReplayCacheRefusesAndForgetsNothing"}},
	{"assertion of a platform forged, sent twice, or passed on to the server", "",
		[]string{"TestAssertionOfAPlatformTakesThePlaceOfAToken", "TestCredentialsGoNoFurther", "caddymodule TestAssertionIsWithheldInEverySpelling"}},
	{"flood of unknown keys, rotation, outage of the issuer", "the same",
		[]string{"TestKeysOfHostileIssuersOpenNothing", "TestNewKeyIsSeenAtOnceAndInventedOnesCostOneFetch", "TestIssuerMayBeDown",
			"TestAuthorizationServerOutOfReachIsNoFaultOfTheToken", "caddymodule/internal/oauth TestUnknownKeyFloodCostsOneFetchAnInterval",
			"caddymodule/internal/oauth TestRotationIsSeenAtOnce", "caddymodule/internal/oauth TestOutageKeepsKeysForAnHourAndThenAnswers503"}},
	{"foreign address or endless body through metadata, keys and introspection", "several write-ups",
		[]string{"caddymodule/internal/oauth TestIssuerThatCannotBeAsked", "caddymodule/internal/oauth TestIssuerThatDoesNotAnswerIsGivenUpInTime",
			"caddymodule/internal/oauth TestBadAnswersOfTheIssuer", "caddymodule/internal/oauth TestHungIssuerIsGivenUpInTime",
			"caddymodule/internal/oauth TestRedirectWithinTheOriginIsFollowed", "caddymodule/internal/oauth TestKeysOfAnOutsideIssuerAreNotLookedForOnLoopback"}},
	{"refresh token, token for another resource or none, by introspection; flood of invented tokens", "",
		[]string{"TestOpaqueTokensOfNoUse", "caddymodule/internal/oauth TestAnswersOfTheIssuerAreHeldToTheRulesOfAToken",
			"caddymodule/internal/oauth TestFloodOfOpaqueTokensIsBounded", "caddymodule/internal/oauth TestInventedTokensDoNotPushOutGoodOnes"}},
	{"metadata or challenge that speaks for the attacker", "agentgateway 449, 545; RFC 9728 section 7.3",
		[]string{"TestMetadataSpeaksForNobodyElse", "TestProtectedResourceMetadata", "caddymodule TestMetadataIsServedToAnyone"}},
	{"requestState forged, replayed, given to another user", "",
		[]string{"TestRequestStateIsOfOneUserAndOneCall", "caddymodule/internal/bridge TestAStateIsGoodOnceForItsUserAndItsCall", "caddymodule/internal/seal TestOpenRefusesWhatWasNotMadeHere"}},
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
		if len(a.tests) == 0 {
			t.Errorf("%s: no test", a.attack)
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
