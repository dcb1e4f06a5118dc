package collectors

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Every section is taken as it is once its blanks are filled in: strictly decoded, and by the collector itself.
func TestSections(t *testing.T) {
	for _, what := range Sections() {
		t.Run(what, func(t *testing.T) {
			text, err := Section(what, "my-app", t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(strings.Join(uncommented(text), "\n"), Blank); n == 0 && what != "slack" || n > 5 {
				t.Errorf("%d blanks:\n%s", n, text)
			}
			take(t, strings.ReplaceAll(text, Blank, "acme.example"))
		})
	}
}

// What is said of the types is of those that there are.
func TestTypes(t *testing.T) {
	var got, want []string
	for _, s := range Types() {
		got = append(got, s.Name)
	}
	for _, kind := range All() {
		if kind.Name != "rest" {
			want = append(want, kind.Name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What stands in comments is right, too: a key that is taken out of its comment is known.
func TestSectionComments(t *testing.T) {
	key := regexp.MustCompile(`^(  )# ([a-z_]+: ?[^ ].*)$`)
	for _, what := range Sections() {
		text, err := Section(what, "my-app", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.ReplaceAll(text, Blank, "acme.example"), "\n")
		for i, line := range lines {
			m := key.FindStringSubmatch(line)
			if m == nil || strings.HasPrefix(m[2], "params:") || strings.HasPrefix(m[2], "roster:") || strings.HasPrefix(m[2], "links:") || strings.HasPrefix(m[2], "guard:") || !known(m[2]) {
				continue
			}
			name, _, _ := strings.Cut(m[2], ":")
			var with []string
			for j, l := range lines {
				switch {
				case j == i:
					with = append(with, m[1]+m[2])
				case strings.HasPrefix(l, "  "+name+":"): // it takes the place of the other
				case name == "auth" && j < i && strings.HasPrefix(l, "    ") && inAuth(lines[:j]):
				default:
					with = append(with, l)
				}
			}
			t.Run(what+" "+name, func(t *testing.T) { take(t, strings.Join(with, "\n")) })
		}
	}
}

// known tells a key of the section from a sentence or a way to sign in.
func known(text string) bool {
	for _, name := range []string{"auth", "share", "ca", "base", "attributes", "fields", "kinds", "privileged", "inherit", "memberships", "max_rate", "incremental"} {
		if strings.HasPrefix(text, name+": ") {
			return true
		}
	}
	return false
}

func inAuth(before []string) bool {
	for i := len(before) - 1; i >= 0; i-- {
		if !strings.HasPrefix(before[i], "    ") {
			return strings.HasPrefix(before[i], "  auth:")
		}
	}
	return false
}

func uncommented(text string) []string {
	var out []string
	for _, l := range strings.Split(text, "\n") {
		l, _, _ = strings.Cut(l, "#")
		out = append(out, l)
	}
	return out
}

// take decodes a section as lapse.yaml does, and builds its collector.
func take(t *testing.T, text string) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	section := doc.Content[0].Content[0]
	own := yaml.Node{Kind: yaml.MappingNode}
	shared := map[string]string{}
	roster := false
	for i := 0; i < len(section.Content); i += 2 {
		switch name := section.Content[i].Value; name {
		case "uid", "name", "type":
			shared[name] = section.Content[i+1].Value
		default:
			roster = roster || name == "roster"
			own.Content = append(own.Content, section.Content[i], section.Content[i+1])
		}
	}
	for _, kind := range All() {
		if kind.Name != shared["type"] {
			continue
		}
		env := Env{UID: shared["uid"], Roster: roster, Base: t.TempDir(), Now: time.Now, Private: t.TempDir(),
			Secret: func(context.Context, collect.Secret) (string, error) { return "", nil }}
		if _, err := kind.New(func(v any) error { return strict.Decode("lapse.yaml", &own, "", v) }, env); err != nil {
			t.Errorf("%v:\n%s", err, text)
		}
		return
	}
	t.Fatalf("no type %q:\n%s", shared["type"], text)
}
