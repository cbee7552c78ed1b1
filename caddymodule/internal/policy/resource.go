package policy

// resourceRules are the rules on resources. A URI is under the rules on each of its
// readings, as they are written and as they are once percent-encoding is decoded in them,
// and needs what all of these need.
type resourceRules struct {
	written *ruleset
	decoded *ruleset // nil if it would be the same
}

func compileResources(rules []Rule) *resourceRules {
	set := &resourceRules{written: compile(KindResource, rules)}
	var decoded []Rule
	differs := false
	for _, r := range rules {
		if r.Kind != KindResource {
			continue
		}
		plain := r
		plain.Pattern = fullyDecoded(r.Pattern)
		differs = differs || plain.Pattern != r.Pattern
		decoded = append(decoded, plain)
	}
	if differs {
		set.decoded = compile(KindResource, decoded)
	}
	return set
}

// maxReadings is how many readings the URIs of one request may have together.
const maxReadings = 4096

// rules appends those that the URIs of a request are under, or says why nobody may make
// it.
func (s *resourceRules) rules(dst []*compiledRule, req Request) (rules []*compiledRule, refusal string) {
	if s.written.rules == 0 {
		return dst, ""
	}
	total := 0
	for i := -1; i < len(req.More); i++ {
		uri := req.Name
		if i >= 0 {
			uri = req.More[i]
		}
		if len(uri) > maxNameBytes {
			return nil, refusedLength(KindResource)
		}
		if plainURI(uri) {
			dst, refusal = s.reading(dst, uri)
			total++
		} else {
			all, ok := readings(uri)
			if total += len(all); !ok || total > maxReadings {
				return nil, "resource with too many readings"
			}
			for j := 0; j < len(all) && refusal == ""; j++ {
				dst, refusal = s.reading(dst, all[j])
			}
		}
		if refusal != "" {
			return nil, refusal
		}
	}
	return dst, ""
}

// reading appends the rules that one spelling of a URI is under.
func (s *resourceRules) reading(dst []*compiledRule, uri string) (rules []*compiledRule, refusal string) {
	dst, refusal = s.written.rule(dst, uri)
	if refusal == "" && s.decoded != nil {
		dst, refusal = s.decoded.rule(dst, uri)
	}
	return dst, refusal
}
