package strict

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A document that has no end when its aliases are followed is refused, and soon.
func TestAliases(t *testing.T) {
	type node struct {
		Name string  `yaml:"name"`
		Each []*node `yaml:"each"`
		Any  any     `yaml:"any"`
	}
	bomb := "any:\n- &a0 [x, x]\n"
	for i := range 40 {
		bomb += fmt.Sprintf("- &a%d [*a%d, *a%d]\n", i+1, i, i)
	}
	for text, want := range map[string]string{
		"name: a\neach: [&a {name: b, each: [*a]}]": "x.yaml:1:1: an alias contains itself",
		"any: &a [*a]": "x.yaml:1:1: an alias contains itself",
		bomb:           "x.yaml:1:1: an alias contains itself, or aliases multiply each other",
		"name: a\neach: [&a {name: b}, *a, {name: c, each: [*a]}]": "",
	} {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		var n node
		err := Decode("x.yaml", doc.Content[0], "", &n)
		if want == "" && (err != nil || len(n.Each) != 3 || n.Each[2].Each[0].Name != "b") {
			t.Errorf("%s: %v, %+v", text, err, n)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60s: error %v, want %q", text, err, want)
		}
	}
}
