package file

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

func listOf(t testing.TB, text string) List {
	t.Helper()
	var doc struct {
		List List `yaml:"list"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.List
}

func TestReadContracts(t *testing.T) {
	ten := int64(10)
	dir := write(t, map[string]string{
		"c.csv":  "SKU,Source,Cost,Per,Currency,Purchased,Renews At,Override\nE3,m365,57.00,month,usd,10,2027-01-01,\nPRO,,100,year,EUR,,,yes\nFREE,,,,,,,\n",
		"c.yaml": "- {sku: E3, source: m365, cost: 57.00, per: month, currency: usd, purchased: 10, renews_at: 2027-01-01}\n- {sku: PRO, cost: 100, per: year, currency: EUR, override: yes}\n- sku: FREE\n",
		"c.xlsx": bookOf(t, inline([]string{"sku", "source", "cost", "per", "currency", "purchased", "renews_at", "override"},
			[]string{"E3", "m365", "<c><v>57</v></c>", "month", "USD", "<c><v>10</v></c>", `<c s="0"><v>46388</v></c>`, "<c/>"},
			[]string{"PRO", "<c/>", "<c><v>100</v></c>", "year", "EUR", "<c/>", "<c/>", `<c t="b"><v>1</v></c>`}, []string{"FREE"}),
			"xl/styles.xml", `<styleSheet><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>`),
	})
	items := strings.ReplaceAll(strings.TrimSuffix("\n- {sku: E3, source: m365, cost: 57.00, per: month, currency: usd, purchased: 10, renews_at: 2027-01-01}\n- {sku: PRO, cost: 100, per: year, currency: EUR, override: yes}\n- {sku: FREE}\n", "\n"), "\n", "\n  ")
	for name, c := range map[string]struct{ section, place, file string }{
		"CSV": {"list: c.csv", "c.csv line 2", "c.csv"}, "YAML": {"list: c.yaml", "c.yaml line 1", "c.yaml"}, "workbook": {"list: {path: c.xlsx, sheet: People}", "c.xlsx line 2", "c.xlsx"},
		"in place": {"list:" + items, "lapse.yaml line 2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadContracts(t.Context(), listOf(t, c.section), Options{Base: dir, UID: "lapse.yaml"})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.List) != 3 || got.List[0].Place != c.place {
				t.Fatalf("contracts %+v", got.List)
			}
			if cost := got.List[0].CostMonth; cost != "57.00" && (name != "workbook" || cost != "57") {
				t.Errorf("cost %q", cost)
			}
			for i := range got.List {
				got.List[i].Place, got.List[i].CostMonth = "", strings.TrimSuffix(got.List[i].CostMonth, ".00")
			}
			same(t, got.List, []collect.Contract{
				{License: access.License{SKU: "E3", CostMonth: "57", Currency: "USD", Purchased: &ten, RenewsAt: at("2027-01-01T00:00:00Z")}, Source: "m365"},
				{License: access.License{SKU: "PRO", CostMonth: "8.3333", Currency: "EUR"}, Override: true}, // a twelfth
				{License: access.License{SKU: "FREE"}},
			})
			if c.file == "" {
				if len(got.Files) > 0 {
					t.Errorf("files %+v", got.Files)
				}
			} else if len(got.Files) != 1 || got.Files[0].Name != c.file || len(got.Files[0].SHA256) != 64 {
				t.Errorf("files %+v", got.Files)
			}
		})
	}
}

func TestListFaults(t *testing.T) {
	dir := write(t, map[string]string{"c.csv": "sku,cost,per,currency\nA,57.00,,USD\nB,57,month,\nC,-1,month,USD\nD,1,month,Euro\nE,1,week,USD\nF,1,month,USD\nF,2,month,USD\n"})
	for section, want := range map[string]string{
		"list: c.csv": `contracts: c.csv line 2 column "per": is missing: say whether the cost of a seat is for a month or a year
contracts: c.csv line 3 column "currency": is missing: write three letters such as USD
contracts: c.csv line 4 column "cost": not a price: write 57.00, or set decimal_comma where it is 57,00
contracts: c.csv line 5 column "currency": not three letters such as USD
contracts: c.csv line 6 column "per": "week" is none of month, year; say under values.per what it stands for
contracts: c.csv line 7 column "sku": c.csv line 8 has the same id and says something else: neither is taken
contracts: c.csv line 8 column "sku": c.csv line 7 has the same id and says something else: neither is taken`,
		"list: gone.csv":             "contracts: gone.csv: no such file or directory",
		"list: c.pdf":                "contracts.format: is missing, and c.pdf doesn't tell: write csv, json, jsonl, xlsx or yaml",
		"list: [{sku: A, price: 3}]": `contracts: lapse.yaml: line 1: unknown key "price": there are sku, source, product, cost, per, currency, purchased, renews_at, override`,
		"list: [{cost: 3}]":          "contracts: lapse.yaml: has no column for sku: it has cost; name the column under files.contracts.columns",
		"list: [A, B]":               "contracts: lapse.yaml: line 1: want a mapping such as {name: value}",
	} {
		_, err := ReadContracts(t.Context(), listOf(t, section), Options{Base: dir, UID: "lapse.yaml"})
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", section, err, want)
		}
	}
	var bad struct {
		List List `yaml:"list"`
	}
	if err := yaml.Unmarshal([]byte("list: {pth: c.csv}"), &bad); err == nil || !strings.Contains(err.Error(), `unknown key "pth": did you mean "path"?`) {
		t.Errorf("a slip in the section: %v", err)
	}
}

func TestReadApps(t *testing.T) {
	got, err := ReadApps(t.Context(), listOf(t, "list: [{name: HR, source: hr, personal_data: yes, criticality: High}, {name: Figma, owner: jo, why: no API}]"), Options{UID: "lapse.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, []App{{Name: "HR", Source: "hr", PersonalData: yes(), Criticality: "high", Place: "lapse.yaml line 1"}, {Name: "Figma", Owner: "jo", Why: "no API", Place: "lapse.yaml line 1"}})
	if got, err := ReadApps(t.Context(), listOf(t, "list: []"), Options{}); err != nil || got != nil {
		t.Errorf("an empty list: %v, %v", got, err)
	}
	_, err = ReadApps(t.Context(), listOf(t, "list: [{name: HR, source: hr, why: x}, {name: A, criticality: huge}]"), Options{UID: "lapse.yaml"})
	want := "inventory: lapse.yaml line 1 column \"why\": says why the app is not connected, and there is a source: keep one of them\n" +
		`inventory: lapse.yaml line 1 column "criticality": "huge" is none of low, medium, high, critical; say under values.criticality what it stands for`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
