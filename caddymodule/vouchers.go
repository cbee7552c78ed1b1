package caddymodule

import "github.com/snapgate/snapgate/caddymodule/internal/bridge"

// recognize tells each bridge whose users it serves now: those of the issuers that the
// mcp_oauth handlers of its resource accept, by the claim that they read. Sessions of
// others end. It is called once the configuration runs, so that one that fails to start
// ends nothing.
func recognize(handlers []starter) {
	vouchers := map[string][]bridge.Voucher{} // by resource
	for _, h := range handlers {
		if o, ok := h.(*OAuth); ok {
			o.takeOver()
			resource, own := o.vouchers()
			vouchers[resource] = append(vouchers[resource], own...)
		}
	}
	told := map[*bridge.Bridge]bool{} // two handlers may have one
	for _, h := range handlers {
		s, ok := h.(*Stdio)
		if !ok {
			continue
		}
		s.mu.Lock()
		if s.bridge != nil && !told[s.bridge] {
			told[s.bridge] = true
			s.forget = s.bridge.Recognize(vouchers[s.Resource])
		}
		s.mu.Unlock()
	}
}

// takeOver has the verifier, which an earlier configuration may have made, log to the logs of
// this one: the others will be closed.
func (o *OAuth) takeOver() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.verifier != nil {
		o.verifier.LogTo(o.log)
	}
}

// vouchers are those whose users this handler lets in, and for which resource.
func (o *OAuth) vouchers() (resource string, vouchers []bridge.Voucher) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.verifier == nil {
		return "", nil // it cannot serve
	}
	cfg := o.verifier.Config()
	for _, issuer := range cfg.Issuers {
		vouchers = append(vouchers, bridge.Voucher{Issuer: issuer, Claim: cfg.Subject})
	}
	return o.Resource, vouchers
}
