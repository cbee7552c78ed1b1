package caddymodule

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/snapgate/snapgate/caddymodule/internal/oauth"
)

// words reads one or more arguments.
func words(d *caddyfile.Dispenser, name string, into *[]string) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes at least one value", name)
	}
	*into = append(*into, args...)
	return nil
}

// word reads one argument.
func word(d *caddyfile.Dispenser, name string, into *string) error {
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return d.Errf("%s takes one value", name)
	}
	*into = args[0]
	return nil
}

// count reads a number of at least one.
func count(d *caddyfile.Dispenser, name string, into *int) error {
	var text string
	if err := word(d, name, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("%s: %q is not a whole number from 1 on", name, text)
	}
	*into = n
	return nil
}

// size reads a number of bytes, such as 512KiB.
func size(d *caddyfile.Dispenser, name string, into *int64) error {
	var text string
	if err := word(d, name, &text); err != nil {
		return err
	}
	const most = 1 << 30
	n, err := humanize.ParseBytes(text)
	if err != nil || n < 1 || n > most {
		return d.Errf("%s: %q is not a size from 1 byte to 1 GiB, such as 4MiB", name, text)
	}
	*into = int64(n)
	return nil
}

// duration reads a positive duration.
func duration(d *caddyfile.Dispenser, name string, into *caddy.Duration) error {
	var text string
	if err := word(d, name, &text); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%s: %q is not a duration above zero, such as 30s", name, text)
	}
	*into = caddy.Duration(value)
	return nil
}

// clockSkew reads a duration that may be zero, which JSON writes as a negative one.
func clockSkew(d *caddyfile.Dispenser, into *caddy.Duration) error {
	var text string
	if err := word(d, "clock_skew", &text); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	if text == "0" {
		value, err = 0, nil
	}
	if err != nil || value < 0 || value > oauth.MaxClockSkew {
		return d.Errf("clock_skew: %q is not a duration from 0s to %v", text, oauth.MaxClockSkew)
	}
	*into = caddy.Duration(value)
	if value == 0 {
		*into = caddy.Duration(-time.Nanosecond)
	}
	return nil
}

// oneOf reads one of a few words.
func oneOf(d *caddyfile.Dispenser, name string, into *string, words ...string) error {
	args := d.RemainingArgs()
	if len(args) != 1 || !slices.Contains(words, args[0]) {
		return d.Errf("%s takes one of: %s", name, strings.Join(words, ", "))
	}
	*into = args[0]
	return nil
}
