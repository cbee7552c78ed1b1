package caddymodule

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// oddWords are what has no place in most lines of the directive.
var oddWords = append(strings.Fields("stdio oauth scopes handle env per user audience bound dpop cache size base deny imply "+
	"claims body anonymous public off { } {} {mcp.user} {env.HOME} https://auth.example.com http://x :// /x * ä %zz # \\ "+
	"-1 0 0s 1e9 99999999999999999999 10m 4MiB none"), `""`, `"a b"`, "`{`", "\"\n\"")

// spoiled is a Caddyfile in which a few words are left out, repeated or replaced, or lines are.
func spoiled(random *rand.Rand, text string) string {
	lines := strings.Split(text, "\n")
	for range 1 + random.IntN(3) {
		i := random.IntN(len(lines))
		words := strings.Fields(lines[i])
		if len(words) == 0 {
			continue
		}
		j := random.IntN(len(words))
		switch random.IntN(5) {
		case 0:
			lines = slices.Delete(lines, i, i+1)
		case 1:
			lines = slices.Insert(lines, random.IntN(len(lines)), lines[i])
		case 2:
			lines[i] = strings.Join(slices.Delete(words, j, j+1), " ")
		case 3:
			lines[i] = strings.Join(slices.Insert(words, j, words[j]), " ")
		case 4:
			words[j] = oddWords[random.IntN(len(oddWords))]
			lines[i] = strings.Join(words, " ")
		}
	}
	return strings.Join(lines, "\n")
}

// Whatever is wrong with a directive, it is adapted or refused in the same way each time, and opens
// nothing: no server is without login unless the directive says anonymous.
func TestSpoiledDirectivesAreAdaptedOrRefused(t *testing.T) {
	for _, file := range []string{"whole_grammar", "whole_grammar_of_mcp_oauth", "anonymous"} {
		raw, err := os.ReadFile("testdata/adapt/" + file + ".caddytest")
		if err != nil {
			t.Fatal(err)
		}
		whole, _, _ := strings.Cut(string(raw), separator)
		random := rand.New(rand.NewPCG(1, 2))
		adapted := 0
		for range 500 {
			text := spoiled(random, whole)
			first, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
			second, _, again := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
			if string(first) != string(second) || (err == nil) != (again == nil) {
				t.Fatalf("%s\n%s, %v\nand then %s, %v", text, first, err, second, again)
			}
			if err != nil {
				continue
			}
			adapted++
			if got := string(first); strings.Contains(got, `"mcp_stdio"`) && !strings.Contains(got, `"mcp_oauth"`) && !strings.Contains(text, "anonymous") {
				t.Fatalf("%s\nno login: %s", text, got)
			}
		}
		if adapted < 50 || adapted > 450 {
			t.Errorf("%s: %d of 500 are adapted: that tells little of the rest", file, adapted)
		}
	}
}
