package collect

import (
	"fmt"
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
)

// Contract is what is known of a license beside the source: how many seats were bought, at what price, until when. What a
// source itself gives of a license stays, unless Override is set.
type Contract struct {
	access.License
	Source   string // uid; "" for every source that has the SKU
	Override bool
	Place    string // where it stands
}

// Contracts are all contracts, and the files that they stand in.
type Contracts struct {
	List  []Contract
	Files []File
}

// of finds the contract of a license of a source: one that names the source comes before one that doesn't. SKUs are
// matched without regard to case.
func (c Contracts) of(source, sku string) (Contract, bool) {
	key := fold(sku)
	for _, named := range []string{source, ""} {
		if i := slices.IndexFunc(c.List, func(k Contract) bool { return k.Source == named && fold(k.SKU) == key }); i >= 0 {
			return c.List[i], true
		}
	}
	return Contract{}, false
}

// fill is the license with what the contract says of it.
func (k Contract) fill(l access.License) access.License {
	if l.CostMonth == "" || k.Override && k.CostMonth != "" { // a price goes with its currency
		l.CostMonth, l.Currency = k.CostMonth, k.Currency
	}
	if l.Purchased == nil || k.Override && k.Purchased != nil {
		l.Purchased = k.Purchased
	}
	if l.RenewsAt == nil || k.Override && k.RenewsAt != nil {
		l.RenewsAt = k.RenewsAt
	}
	if l.Product == "" {
		l.Product = k.Product
	}
	return l
}

// Priced is a Sink that puts what contracts say into the licenses of one source. It stands behind the counting of what the
// source gives: a contract that ends is no sign of a broken feed.
type Priced struct {
	contracts Contracts
	source    string
	out       Sink
	licensed  map[string]bool // SKUs that the source gives a License of
	held      map[string]bool // SKUs that there are seats of
	found     map[string]*Contract
	used      int
}

// Into returns the sink for one source.
func (c Contracts) Into(source string, out Sink) *Priced {
	return &Priced{contracts: c, source: source, out: out, licensed: map[string]bool{}, held: map[string]bool{}, found: map[string]*Contract{}}
}

// of is the contract of a SKU, nil where there is none.
func (p *Priced) of(sku string) *Contract {
	k, ok := p.found[sku]
	if !ok {
		if c, there := p.contracts.of(p.source, sku); there {
			k = &c
		}
		p.found[sku] = k
	}
	return k
}

// Put implements Sink.
func (p *Priced) Put(r access.Record) error {
	switch v := r.(type) {
	case access.License:
		p.licensed[v.SKU] = true
		if k := p.of(v.SKU); k != nil {
			p.used++
			return p.out.Put(k.fill(v))
		}
	case access.Seat:
		p.held[v.SKU] = true
		if k := p.of(v.SKU); v.CostMonth != "" && k != nil && k.Override && k.CostMonth != "" {
			v.CostMonth, v.Currency = "", "" // that of the license holds
			return p.out.Put(v)
		}
	}
	return p.out.Put(r)
}

// Reject implements Sink.
func (p *Priced) Reject(r Rejection) error { return p.out.Reject(r) }

// Finish puts a License for each SKU that there are seats and a contract of, and that the source says nothing of. It is
// called once, after the source was read whole, and adds to the provenance where the prices are from. A contract of a SKU
// that the source doesn't have makes no License: that nobody holds a seat would be a guess.
func (p *Priced) Finish(prov *Provenance) error {
	var skus []string
	for sku := range p.held {
		if !p.licensed[sku] {
			skus = append(skus, sku)
		}
	}
	slices.Sort(skus)
	for _, sku := range skus {
		k := p.of(sku)
		if k == nil {
			continue
		}
		p.used++
		if err := p.out.Put(k.fill(access.License{SKU: sku})); err != nil {
			return err
		}
		if !slices.Contains(prov.Reads, string(Licenses)) {
			prov.Reads = append(slices.Clip(prov.Reads), string(Licenses))
		}
	}
	if p.used == 0 {
		return nil
	}
	what := fmt.Sprintf("%d licenses have", p.used)
	if p.used == 1 {
		what = "1 license has"
	}
	prov.Notes = append(slices.Clip(prov.Notes), what+" prices or seats from the contracts, not from the source")
	prov.Files = append(slices.Clip(prov.Files), p.contracts.Files...)
	return nil
}
