package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

var update = flag.Bool("update", false, "rewrite the expected records")

// keeper is a sink that keeps everything.
type keeper struct {
	records    []access.Record
	rejections []collect.Rejection
}

func (k *keeper) Put(r access.Record) error { k.records = append(k.records, r); return nil }
func (k *keeper) Reject(r collect.Rejection) error {
	k.rejections = append(k.rejections, r)
	return nil
}

// config reads the section of a source as lapse.yaml has it.
func config(t testing.TB, text string) Config {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := strict.Decode("lapse.yaml", n.Content[0], "", &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// source is the section in testdata/NAME/source.yaml.
func source(t testing.TB, name string) Config {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name, "source.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return config(t, string(data))
}

func recorded(t testing.TB, name string) *Replay {
	t.Helper()
	r, err := OpenReplay(filepath.Join("testdata", name, "replay"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const secretText = "s3cr3t-t0ken"

func secret(context.Context, collect.Secret) (string, error) { return secretText, nil }

// build makes a collector that waits for nothing.
func build(t testing.TB, c Config, transport http.RoundTripper) *Collector {
	t.Helper()
	k, err := New(c, Options{Base: "testdata", Roster: c.Roster != nil, UID: "app", Secret: secret, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	fake(k)
	return k
}

// dump writes a record a line: its kind and the fields that it has.
func dump(records []access.Record) string {
	var b strings.Builder
	for _, r := range records {
		v := reflect.ValueOf(r)
		fmt.Fprintf(&b, "%s:", strings.ToLower(v.Type().Name()))
		for i := range v.NumField() {
			f := v.Field(i)
			if f.IsZero() {
				continue
			}
			text, err := json.Marshal(f.Interface())
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(&b, " %s=%s", snake(v.Type().Field(i).Name), text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestRecipes replays what is recorded for each shipped recipe. What must come out stands in want.txt, checked by eye
// against the traffic and rewritten by -update.
func TestRecipes(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			k := build(t, source(t, name), recorded(t, name))
			var out keeper
			res, err := collect.Run(t.Context(), k, &out, collect.Options{Limits: collect.DefaultLimits(), Now: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			b.WriteString(dump(out.records))
			for _, r := range res.Rejections {
				fmt.Fprintf(&b, "rejected: %s\n", r)
			}
			for _, g := range res.Gaps {
				fmt.Fprintf(&b, "gap: %s\n", g)
			}
			for _, signal := range slices.Sorted(maps.Keys(res.Provenance.Coverage)) {
				fmt.Fprintf(&b, "coverage: %s %s\n", signal, res.Provenance.Coverage[signal])
			}
			for _, note := range res.Provenance.Notes {
				fmt.Fprintf(&b, "note: %s\n", note)
			}
			fmt.Fprintf(&b, "reads: %s\n", strings.Join(res.Provenance.Reads, " "))
			golden := filepath.Join("testdata", name, "want.txt")
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), b.String()); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// What is done without jq gives what jq gives.
func TestEasyExpressions(t *testing.T) {
	inputs := []any{nil, true, "x", json.Number("7"), []any{}, map[string]any{}, map[string]any{"a": nil}, map[string]any{"a": "x"}, map[string]any{"a": map[string]any{"b": json.Number("1")}}}
	vars := []string{"$params", "$item"}
	for _, text := range []string{".", ".a", ".a.b", "$params", "$params.a", "$params.a.b", "$item.a", "true", "false", `"group"`, `""`, " .a ", `"é"`} {
		var easy, jq Expr
		for _, e := range []*Expr{&easy, &jq} {
			if err := e.parse(text, place{1, 1}); err != nil {
				t.Fatal(err)
			}
			if err := e.compile(vars); err != nil {
				t.Fatal(err)
			}
		}
		jq.path, jq.whole, jq.fixed = nil, false, nil
		if _, _, ok := easy.easy(nil, []any{nil, nil}); !ok {
			t.Errorf("%s starts jq", text)
		}
		for _, v := range inputs {
			for _, param := range inputs {
				values := []any{param, v}
				got, err := easy.one(v, values)
				want, wanted := jq.one(v, values)
				if (err == nil) != (wanted == nil) || !reflect.DeepEqual(got, want) {
					t.Errorf("%s of %v and %v: %v, %v; jq gives %v, %v", text, v, param, got, err, want, wanted)
				}
			}
		}
	}
}

// A recipe sees its answers and nothing of the machine.
func TestExpressionsAreClosed(t *testing.T) {
	t.Setenv("LAPSE_TEST_SECRET", secretText)
	for text, want := range map[string]string{
		"now": "now is not there", "$ENV.LAPSE_TEST_SECRET": "", "env.LAPSE_TEST_SECRET": "", "input": "input", "input_filename": "", `include "x"; 1`: "module", "get_search_list": "", `error("no")`: "no",
	} {
		var e Expr
		err := e.parse(text, place{1, 1})
		if err == nil {
			err = e.compile(nil)
		}
		var out any
		if err == nil {
			out, err = e.one(nil, nil)
		}
		if want == "" && (out != nil && fmt.Sprint(out) != "[]") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s is %v, %v; want %q", text, out, err, want)
		}
	}
}
