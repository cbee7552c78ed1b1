package identity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/snapgate/snapgate/identity"
)

// members are those of a valid identity, for others to stand beside.
const members = `"issuer":"https://auth.example.com","subject":"alice","user":"h67l22ladaxbogmejh2vtaxvkm"`

func TestParseRefusesWhatTwoReadersSeeDifferently(t *testing.T) {
	for name, raw := range map[string]string{
		"a member twice":             `{` + members + `,"subject":"alice"}`,
		"twice by escapes":           `{` + members + `,"\u0073ubject":"alice"}`,
		"twice, unknown":             `{` + members + `,"x":1,"x":2}`,
		"twice in the claims":        `{` + members + `,"claims":{"a":{"b":1,"b":2}}}`,
		"twice in a list":            `{` + members + `,"claims":{"a":[{"b":1,"b":2}]}}`,
		"another case":               `{` + members + `,"Subject":"alice"}`,
		"another case, first":        `{"SCOPES":["a"],` + members + `}`,
		"a long s":                   `{` + members + `,"` + "\u017f" + `ubject":"alice"}`,
		"another case only":          `{"Issuer":"https://auth.example.com","subject":"alice","user":"h67l22ladaxbogmejh2vtaxvkm"}`,
		"bad UTF-8":                  `{` + members + `,"x":"` + "\xff" + `"}`,
		"something behind it":        `{` + members + `}{}`,
		"cut off":                    `{` + members,
		"nothing":                    ``,
		"a name without quotes":      `{` + members + `,x:1}`,
		"an empty scope":             `{` + members + `,"scopes":[""]}`,
		"two scopes in one":          `{` + members + `,"scopes":["a b"]}`,
		"a scope with a line break":  `{` + members + `,"scopes":["a\nb"]}`,
		"a scope that is no text":    `{` + members + `,"scopes":[1]}`,
		"a time that is text":        `{` + members + `,"expires":"tomorrow"}`,
		"a time too large":           `{` + members + `,"expires":1e30}`,
		"claims that are a list":     `{` + members + `,"claims":[]}`,
		"a list around it":           `[{` + members + `}]`,
		"deeper than the gateway's":  `{` + members + `,"claims":{"a":` + strings.Repeat("[", 128) + strings.Repeat("]", 128) + `}}`,
		"larger than the gateway's":  `{` + members + `,"claims":{"a":"` + strings.Repeat("a", identity.MaxSize) + `"}}`,
		"a claim nested without end": `{` + members + `,"claims":{"a":` + strings.Repeat(`{"a":`, 20_000),
	} {
		if _, err := identity.Parse([]byte(raw)); !errors.Is(err, identity.ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", name, err)
		}
	}
}

func TestParseTakesWhatALaterGatewayMayAdd(t *testing.T) {
	for name, raw := range map[string]string{
		"a member":              `{` + members + `,"tenant":{"id":7,"names":["a","b"]}}`,
		"a member of any name":  `{` + members + `,"Tenant":1,"":2,"SUBJECTS":3}`,
		"claims in other cases": `{` + members + `,"claims":{"subject":1,"Subject":2}}`,
		"null for what is not":  `{` + members + `,"client_id":null,"scopes":null,"expires":null,"claims":null}`,
		"a large claim":         `{` + members + `,"claims":{"a":"` + strings.Repeat("a", 200<<10) + `"}}`,
	} {
		id, err := identity.Parse([]byte(raw))
		if err != nil || id.Subject != "alice" {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}

func TestFromParamsBelievesOneExactKey(t *testing.T) {
	const stamp = `"io.github.snapgate/identity":{` + members + `}`
	for name, c := range map[string]struct {
		params string
		want   error
	}{
		"stamped":                 {`{"name":"x","_meta":{"progressToken":1,` + stamp + `}}`, nil},
		"written with escapes":    {`{"_meta":{"io.github.snapgate\u002fidentity":{` + members + `}}}`, nil},
		"no params":               {``, identity.ErrMissing},
		"params null":             {`null`, identity.ErrMissing},
		"params a list":           {`[{"_meta":{` + stamp + `}}]`, identity.ErrMissing},
		"no meta":                 {`{"arguments":{"_meta":{` + stamp + `}}}`, identity.ErrMissing},
		"meta null":               {`{"_meta":null}`, identity.ErrMissing},
		"meta a list":             {`{"_meta":[` + `{` + stamp + `}]}`, identity.ErrMissing},
		"identity null":           {`{"_meta":{"io.github.snapgate/identity":null}}`, identity.ErrMissing},
		"beside the meta":         {`{` + stamp + `,"_meta":{}}`, identity.ErrMissing},
		"meta in another case":    {`{"_META":{` + stamp + `}}`, identity.ErrMissing},
		"key in another case":     {`{"_meta":{"io.github.Snapgate/identity":{` + members + `}}}`, identity.ErrMissing},
		"key with a long s":       {`{"_meta":{"io.github.` + "\u017f" + `napgate/identity":{` + members + `}}}`, identity.ErrMissing},
		"meta twice":              {`{"_meta":{` + stamp + `},"_meta":{}}`, identity.ErrInvalid},
		"meta twice, by escapes":  {`{"_meta":{` + stamp + `},"\u005fmeta":{` + stamp + `}}`, identity.ErrInvalid},
		"key twice":               {`{"_meta":{` + stamp + `,` + stamp + `}}`, identity.ErrInvalid},
		"key twice, one null":     {`{"_meta":{"io.github.snapgate/identity":null,` + stamp + `}}`, identity.ErrInvalid},
		"identity text":           {`{"_meta":{"io.github.snapgate/identity":"alice"}}`, identity.ErrInvalid},
		"cut off in the meta":     {`{"_meta":{` + stamp, identity.ErrInvalid},
		"cut off behind the meta": {`{"_meta":{` + stamp + `}`, identity.ErrInvalid},
	} {
		id, err := identity.FromParams([]byte(c.params))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: error = %v, want %v", name, err, c.want)
		}
		if c.want == nil && (id == nil || id.Subject != "alice") {
			t.Errorf("%s: identity = %+v", name, id)
		}
	}
}

func TestMapsAndBytesAreReadAlike(t *testing.T) {
	var meta map[string]any
	text := `{"io.github.snapgate/identity":{` + members + `,"scopes":["a","b"],"expires":1800000000,"claims":{"n":1.5}}}`
	if err := json.Unmarshal([]byte(text), &meta); err != nil {
		t.Fatal(err)
	}
	one, err := identity.FromMeta(meta)
	if err != nil {
		t.Fatal(err)
	}
	other, err := identity.FromParams([]byte(`{"_meta":` + text + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(*one) != fmt.Sprint(*other) || one.Expires != 1_800_000_000 || len(one.Scopes) != 2 {
		t.Errorf("%+v\n%+v", one, other)
	}
	// A map can hold a member and its look-alike, of which a decoder takes the last.
	meta[identity.MetaKey].(map[string]any)["\u017fubject"] = "bob"
	if _, err := identity.FromMeta(meta); !errors.Is(err, identity.ErrInvalid) {
		t.Errorf("error = %v, want ErrInvalid", err)
	}
}

func FuzzFromParams(f *testing.F) {
	f.Add([]byte(stampedParams))
	f.Add([]byte(`{"_meta":{"io.github.snapgate/identity":{` + members + `,"claims":{"a":[{"b":1,"b":2}]}}}}`))
	f.Add([]byte(`{"_META":{"io.github.snapgate/identity":{` + members + `}},"_meta":null}`))
	f.Fuzz(func(t *testing.T, params []byte) {
		id, err := identity.FromParams(params)
		if err != nil {
			if id != nil || !errors.Is(err, identity.ErrMissing) && !errors.Is(err, identity.ErrInvalid) {
				t.Fatalf("%v, %v", id, err)
			}
			return
		}
		if err := id.Validate(); err != nil {
			t.Fatal(err)
		}
		// Whatever was believed, a common decoder finds the same user in the same place.
		var members, meta map[string]json.RawMessage
		if err := json.Unmarshal(params, &members); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(members["_meta"], &meta); err != nil {
			t.Fatal(err)
		}
		again, err := identity.Parse(meta[identity.MetaKey])
		if err != nil || again.User != id.User {
			t.Fatalf("%v, %v", again, err)
		}
	})
}
