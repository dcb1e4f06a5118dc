package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/review"
	"github.com/lapse-audit/lapse/internal/state"
)

func TestParseItems(t *testing.T) {
	got, err := parseItems([]string{"3", "5-7,9"})
	if err != nil || !slices.Equal(got, []int64{3, 5, 6, 7, 9}) {
		t.Errorf("%v, %v", got, err)
	}
	if text := itemNumbers(got); text != "3,5-7,9" {
		t.Errorf("written as %q", text)
	}
	for _, bad := range []string{"", "x", "0", "7-5", "1-", "-3", "1-99999999999"} {
		if got, err := parseItems([]string{bad}); err == nil {
			t.Errorf("%q is taken for %v", bad, got)
		}
	}
}

func TestReadSheet(t *testing.T) {
	items := []review.Item{{N: 1, Grant: review.Grant{Source: "crm", Account: "=u1", Entitlement: "admin"}}, {N: 2, Grant: review.Grant{Source: "crm", Account: "u2", Entitlement: "edit"}}}
	f := app.ReviewFile{Campaign: review.New(state.Review{ID: "q4"}, make([]string, 2), nil), List: items}
	// As a spreadsheet saves it elsewhere in the world: semicolons, other columns, rows that were left open, an apostrophe before what it would run.
	got, err := readSheet("list.csv", "Review;Item;Notes;Account ID;Decision;Reason\nq4;2;;u2;approve;\nq4;1;x;'=u1;;\n", f)
	if err != nil || len(got) != 1 || got[0] != (app.ReviewWord{Item: 2, Decision: "approve", Place: "list.csv:2"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = readSheet("list.csv", "item,account id,decision,reason\n1,'=u1,revoke,\"left, says \"\"HR\"\"\"\n", f); err != nil || got[0].Reason != `left, says "HR"` {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                                      "it has no heading",
		"item,decison\n1,approve\n":             `the column "decision" is missing (is it "decison"?)`,
		"item,item,decision\n":                  "is there twice",
		"item,decision\nx,approve\n":            `list.csv:2: "x" is no number of an item`,
		"item,decision\n3,approve\n":            `list.csv:2: "3" is no number of an item`,
		"review,item,decision\nq3,1,approve\n":  `has the review "q4", and the row says "q3"`,
		"item,source,decision\n1,erp,approve\n": "the rows were mixed up",
	} {
		if _, err := readSheet("list.csv", text, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := readWords("x.json", `[{"item": 1, "verdict": "approve"}]`); err == nil {
		t.Error("an unknown field is passed over")
	}
	if got, err := readWords("x.json", `[{"item": 1, "decision": "not-mine", "to": "hr:2"}, {"item": 2}]`); err != nil || len(got) != 1 || got[0].To != "hr:2" {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzReadSheet(f *testing.F) {
	f.Add("item,account id,decision\n1,u1,approve\n")
	f.Add("item;decision\n1;x\n")
	c := app.ReviewFile{Campaign: review.New(state.Review{ID: "q4"}, make([]string, 1), nil), List: []review.Item{{N: 1, Grant: review.Grant{Source: "crm", Account: "u1", Entitlement: "e"}}}}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := readSheet("f", text, c)
		if err == nil && slices.ContainsFunc(words, func(w app.ReviewWord) bool { return w.Item != 1 || w.Decision == "" }) {
			t.Errorf("%+v", words)
		}
	})
}
