package policy

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// shapes put two helper rules together: the constructs under not, under not not, and beside each other.
var shapes = []string{
	"findings contains {\"message\": \"m\"} if {\n\ta\n\tnot b\n}",
	"findings contains {\"message\": \"m\"} if {\n\tnot a\n\tnot b\n}",
	"findings contains {\"message\": \"m\"} if {\n\tnot without\n}\n\nwithout if not a\n\nwithout if not b",
	"findings contains {\"message\": \"m\"} if {\n\tnot both\n}\n\nboth if {\n\ta\n\tb\n}",
	"findings contains {\"message\": \"m\"} if {\n\teither\n\tinput.account.enabled\n}\n\neither if a\n\neither if {\n\tnot b\n\tinput.account.days_known > 7\n}",
	"findings contains {\"message\": \"m\"} if {\n\tnot without\n}\n\nwithout if {\n\tnot a\n\tb\n}",
	"findings contains {\"message\": \"m\"} if {\n\tsome g in input.grants\n\tnot lacking(g)\n}\n\nlacking(g) if {\n\tnot g.approved\n\ta\n}\n\nlacking(g) if {\n\tnot b\n\tg.direct\n}",
}

var defines = regexp.MustCompile(`(?m)^(?:default )?([a-z]+)`)

// helper turns a construct into a helper rule of that name, all of whose names are its own.
func (c construct) helper(name string) string {
	body, rest := c.body, c.rest
	for _, m := range defines.FindAllStringSubmatch(c.rest, -1) {
		word := regexp.MustCompile(`(^|[^.\w"])` + m[1] + `\b`)
		body, rest = word.ReplaceAllString(body, "${1}"+m[1]+"_"+name), word.ReplaceAllString(rest, "${1}"+m[1]+"_"+name)
	}
	return fmt.Sprintf("%s if {\n\t%s\n}\n\n%s\n", name, body, rest)
}

// composedPack puts random constructs together.
func composedPack(t testing.TB, r *rand.Rand, n int) *Pack {
	t.Helper()
	files := map[string]string{}
	choose := func() construct {
		for {
			// One that can't be translated takes the other with it; with is there because OPA loses it.
			if c := constructs[r.IntN(len(constructs))]; c.lane != LaneFull || strings.HasSuffix(c.name, "with") {
				return c
			}
		}
	}
	for i := range n {
		a, b := choose(), choose()
		c := construct{name: a.name + "; " + b.name, body: "true"}
		rules := shapes[r.IntN(len(shapes))] + "\n\n" + a.helper("a") + b.helper("b")
		files[fmt.Sprintf("c%03d/policy.rego", i)] = c.head(i) + strings.ReplaceAll(rules, "params.", fmt.Sprintf("data.params[%q].", c.id(i)))
	}
	pack, err := load(files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return pack
}
