// Package hook carries out changes by a command of the organisation's own, for systems that have no API or one that is not
// known here. It goes with sources of every type.
//
// The command is started for each question, without a shell. It reads one JSON object on its standard input, writes one to
// its standard output, and ends with status 0. What it writes to its standard error goes into the message of an error. It has
// no environment but PATH=/usr/local/bin:/usr/bin:/bin, LANG=C.UTF-8 and what env names; its folder is that of lapse.yaml.
//
// Look reads one object now:
//
//	{"version": 1, "op": "look", "object": {"kind": "account", "id": "4711"}}
//	{"live": {"account": {"id": "4711", "enabled": true}, "grants": ["approver"], "seats": [], "keep": {"group": ["7"]}}}
//
// A list that is left out was not read; an empty one is none. Keep is whatever the command needs to undo a change; it gets it
// back. Dates are RFC 3339.
//
// May, apply and native are about a change: whether it may be made, making it or undoing it, and how a person would:
//
//	{"version": 1, "op": "apply", "change": {"action": "revoke", "object": {"kind": "account", "id": "4711"},
//	  "entitlement": "approver", "note": "plan 7 …", "undo": true, "before": {"account": {…}, "grants": ["approver"], "keep": {…}}}}
//	{}
//	{"version": 1, "op": "native", "change": {…}}
//	{"commands": ["erpctl lock 4711"]}
//
// Making what is so already is no error. What went wrong is said by
//
//	{"error": "refused", "message": "4711 is protected"}
//
// or by the status: gone (200: there is no such object), refused (201: nothing was changed, and won't be), cannot (202: there
// is no way to do it), unsure (203: it may have been done), failed (204: nothing was changed, and another attempt may help)
// and unsupported (205: the op is not known, which is fine for may and native). Any other end of apply, and none within the
// time limit, mean that nobody knows what was done: Lapse looks then.
package hook

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/spell"
)

// Config is the section write of a source whose changes are made by a command.
type Config struct {
	// Exec is the command's path, absolute or beginning with ./ from the folder of lapse.yaml, and its arguments.
	Exec []string `yaml:"exec"`
	// Actions are what the command can do.
	Actions map[access.Action]Action `yaml:"actions"`
	// Env are variables of the command's environment, as references to secrets.
	Env map[string]collect.Secret `yaml:"env"`
	// Timeout is how long the command may take, 30s by default. It is killed then.
	Timeout time.Duration `yaml:"timeout"`
	// Concurrency is how many of it may run at the same time, 1 by default.
	Concurrency int `yaml:"concurrency"`
}

// Action is how well the command does one thing.
type Action struct {
	// Right is what it needs, in the system's own words.
	Right string `yaml:"right"`
	// Undo says that the command can undo it.
	Undo bool `yaml:"undo"`
	// ReadBack says that what look gives shows whether it was done.
	ReadBack bool `yaml:"read_back"`
}

// What holds where the configuration gives nothing.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultConcurrency = 1
)

// Validate reports all faults at once, each with the name of its field.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("write."+format, args...)) }
	switch {
	case len(c.Exec) == 0 || c.Exec[0] == "":
		add("exec: is missing: name the command's path, and its arguments: [/usr/local/bin/erp-access, --prod]")
	case !filepath.IsAbs(c.Exec[0]) && !strings.HasPrefix(c.Exec[0], "./"):
		add("exec: %q is no path: write an absolute one, or one that begins with ./", c.Exec[0])
	}
	if len(c.Actions) == 0 {
		add("actions: is missing: what the command can do, such as disable: {undo: true, read_back: true}")
	}
	for _, action := range slices.Sorted(maps.Keys(c.Actions)) {
		if !slices.Contains(access.Actions(), action) {
			var known []string
			for _, a := range access.Actions() {
				known = append(known, string(a))
			}
			hint := ": there are " + strings.Join(known, ", ")
			if near := spell.Nearest(string(action), known); near != "" {
				hint = fmt.Sprintf(": did you mean %q?", near)
			}
			add("actions: there is no action %q%s", action, hint)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			add("env: %q is no name of a variable", name)
		}
	}
	if c.Timeout < 0 {
		add("timeout: %s is less than 0", c.Timeout)
	}
	if c.Concurrency < 0 || c.Concurrency > 64 {
		add("concurrency: %d is not between 1 and 64", c.Concurrency)
	}
	return errors.Join(errs...)
}

func (c Config) defaults() Config {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	return c
}
