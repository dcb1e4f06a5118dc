package file

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// List is a list that people keep by hand: in lapse.yaml itself, in a file that it names, or in one of which it says how to
// read it, as it does of exports. In such a list every fault is an error.
type List struct {
	Table
	inline *yaml.Node
}

// UnmarshalYAML takes the items, a path, or a Table.
func (l *List) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.ScalarNode:
		l.Path = strict.Texts{n.Value}
		return nil
	case yaml.SequenceNode:
		l.inline = n
		return nil
	}
	return strict.Decode("", n, "", &l.Table)
}

// contractRow is a row of a list of contracts.
type contractRow struct {
	collect.Contract
	cost, per string
	override  *bool
}

func contracts() kind[contractRow] {
	type R = contractRow
	return kind[R]{
		kind: "contracts",
		fields: []field[R]{
			text("sku", func(r *R) *string { return &r.SKU }),
			text("source", func(r *R) *string { return &r.Source }),
			text("product", func(r *R) *string { return &r.Product }),
			priceOf("cost", func(r *R) *string { return &r.cost }),
			enum("per", []string{"month", "year"}, func(r *R) *string { return &r.per }),
			folded("currency", strings.ToUpper, func(r *R) *string { return &r.Currency }),
			count("purchased", func(r *R) **int64 { return &r.Purchased }),
			when("renews_at", func(r *R) **time.Time { return &r.RenewsAt }),
			flag("override", func(r *R) **bool { return &r.override }),
		},
		required: []string{"sku"},
		key:      []string{"sku", "source"},
		finish: func(r *R) (string, string, error) {
			switch {
			case r.cost != "" && r.per == "":
				return "per", "is missing: say whether the cost of a seat is for a month or a year", nil
			case r.cost != "" && r.Currency == "":
				return "currency", "is missing: write three letters such as USD", nil
			case r.per == "year":
				r.CostMonth = aMonth(r.cost)
			default:
				r.CostMonth = r.cost
			}
			r.Override = r.override != nil && *r.override
			return currency(r.Currency)
		},
	}
}

// aMonth is a twelfth of a price, to the four digits that are kept of one.
func aMonth(year string) string {
	r, ok := new(big.Rat).SetString(year)
	if !ok { // it was checked
		return ""
	}
	return r.Quo(r, big.NewRat(12, 1)).FloatString(4)
}

// ReadContracts reads a list of contracts. All faults are reported at once.
func ReadContracts(ctx context.Context, l List, o Options) (collect.Contracts, error) {
	var out collect.Contracts
	files, err := readList(ctx, l, o, contracts(), func(r contractRow, at place) {
		r.Place = at.String()
		out.List = append(out.List, r.Contract)
	})
	out.Files = files
	return out, err
}

// App is an app of the company, connected or not.
type App struct {
	Name, Source, Owner string
	Why                 string // it isn't connected
	PersonalData        *bool
	Criticality         string // low, medium, high, critical; "" is unknown
	Place               string
}

func apps() kind[App] {
	type R = App
	return kind[R]{
		kind: "inventory",
		fields: []field[R]{
			text("name", func(r *R) *string { return &r.Name }),
			text("source", func(r *R) *string { return &r.Source }),
			text("owner", func(r *R) *string { return &r.Owner }),
			text("why", func(r *R) *string { return &r.Why }),
			flag("personal_data", func(r *R) **bool { return &r.PersonalData }),
			enum("criticality", []string{"low", "medium", "high", "critical"}, func(r *R) *string { return &r.Criticality }),
		},
		required: []string{"name"},
		key:      []string{"name"},
		finish: func(r *R) (string, string, error) {
			if r.Source != "" && r.Why != "" {
				return "why", "says why the app is not connected, and there is a source: keep one of them", nil
			}
			return "", "", nil
		},
	}
}

// ReadApps reads a list of apps. All faults are reported at once.
func ReadApps(ctx context.Context, l List, o Options) ([]App, error) {
	var out []App
	_, err := readList(ctx, l, o, apps(), func(a App, at place) {
		a.Place = at.String()
		out = append(out, a)
	})
	return out, err
}

// readList reads the rows of a list and the files it stands in.
func readList[R any](ctx context.Context, l List, o Options, kd kind[R], take func(R, place)) ([]collect.File, error) {
	section := string(kd.kind)
	switch {
	case l.inline != nil && len(l.inline.Content) == 0:
		return nil, nil
	case l.inline == nil:
		if err := l.validate(kd.shape()); err != nil {
			return nil, within(section, err)
		}
	}
	c := Config{MaxRecord: DefaultMaxRecord, MaxUnpacked: DefaultMaxUnpacked, MaxRatio: DefaultMaxRatio}
	k := &Collector{config: c, opt: o, zone: time.UTC}
	out := &faults{}
	put := func(bool) (func(R, place) error, func() error) {
		return func(r R, at place) error { take(r, at); return nil }, func() error { return nil }
	}
	var sources []*source
	if l.inline != nil {
		l.AllowEmpty = true
		sources = []*source{{name: o.UID, format: yamlList, table: &l.Table, inline: l.inline}}
	}
	read, err := readTable(ctx, k, kd, &l.Table, sources, out, put)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", section, err)
	}
	var files []collect.File
	for _, f := range read {
		if l.inline == nil {
			files = append(files, f.File)
		}
	}
	var errs []error
	for _, r := range out.rejections {
		errs = append(errs, fmt.Errorf("%s: %s", section, r))
	}
	return files, errors.Join(errs...)
}

// faults keeps what is wrong with rows.
type faults struct{ rejections []collect.Rejection }

func (f *faults) Put(access.Record) error { return nil }
func (f *faults) Reject(r collect.Rejection) error {
	f.rejections = append(f.rejections, r)
	return nil
}
