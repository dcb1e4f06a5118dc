package baton

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/nesting"
)

// What ConductorOne's own CLI prints of a file with -o json, as far as it is compared.
type (
	cliID       struct{ ResourceType, Resource string }
	cliResource struct {
		ID, ParentResourceID cliID
		DisplayName          string
		Annotations          []struct {
			Type   string `json:"@type"`
			Emails []struct {
				Address   string
				IsPrimary bool
			}
			Login       string
			LastLogin   string
			AccountType string
			Status      struct{ Status string }
		}
	}
	cliResources struct {
		Resources []struct {
			Resource     cliResource
			ResourceType struct{ Traits []string }
		}
	}
	cliEntitlements struct {
		Entitlements []struct {
			Entitlement struct {
				ID, DisplayName, Description, Purpose, Slug string
			}
			Resource cliResource
		}
	}
	cliGrants struct {
		Grants []struct {
			Grant struct {
				ID          string
				Entitlement struct{ ID string }
				Principal   struct{ ID cliID }
				Sources     struct {
					Sources map[string]struct{ IsDirect bool }
				}
			}
			Principal *cliResource
		}
	}
)

func (id cliID) key() string { return key(id.ResourceType, id.Resource) }

// TestCLI compares what is read of real files with what ConductorOne's own CLI reads of the same ones.
func TestCLI(t *testing.T) {
	root := os.Getenv("LAPSE_REALDATA")
	if root == "" {
		t.Skip("LAPSE_REALDATA names no folder of real data")
	}
	dir := filepath.Join(root, "c1z")
	// Of the second format there is no answer of the CLI for the demo, which is the same app.
	for name, answer := range map[string]string{"demo.v1": "demo.v1", "demo.v3": "demo.v1", "template.v1": "template.v1", "template.v3": "template.v3"} {
		t.Run(name, func(t *testing.T) {
			k, err := New(Config{Path: filepath.Join(dir, name+".c1z")}, Options{Private: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			var got keeper
			res, err := collect.Run(t.Context(), k, &got, collect.Options{Limits: collect.Limits{MaxRejected: 1}, Now: k.opt.Now()})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v; %v", res.Counts, res.Provenance.Notes)
			for _, g := range res.Gaps {
				t.Errorf("gap: %s", g)
			}
			cli := func(kind string, into any) {
				t.Helper()
				data, err := os.ReadFile(filepath.Join(dir, "cli_"+answer+"."+kind+".json"))
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(data, into); err != nil {
					t.Fatal(err)
				}
			}
			var resources cliResources
			var entitlements cliEntitlements
			var grants cliGrants
			cli("resources", &resources)
			cli("entitlements", &entitlements)
			cli("grants", &grants)
			same(t, "accounts", got.accountLines(), resources.lines())
			same(t, "entitlements", got.entitlementLines(), entitlements.lines())
			direct, effective, rejected := grants.lines(resources)
			same(t, "direct grants", got.directLines(), direct)
			same(t, "effective access", got.effectiveLines(t), effective)
			if name != answer {
				rejected = 0 // the newer SDK drops them itself
			}
			if int(res.Rejected) != rejected {
				t.Errorf("%d rejected, want %d: %v", res.Rejected, rejected, res.Rejections)
			}
			for _, r := range res.Rejections {
				t.Logf("rejected: %s", r)
				if r.Line == 0 || !strings.Contains(r.File, name) {
					t.Errorf("a rejection without a place: %+v", r)
				}
			}
		})
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if len(want) == 0 {
		t.Errorf("%s: the CLI prints none", what)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func (c cliResources) users() map[string]bool {
	m := map[string]bool{}
	for _, r := range c.Resources {
		if slices.Contains(r.ResourceType.Traits, "TRAIT_USER") {
			m[r.Resource.ID.key()] = true
		}
	}
	return m
}

func (c cliResources) lines() (out []string) {
	users := c.users()
	for _, r := range c.Resources {
		if !users[r.Resource.ID.key()] {
			continue
		}
		var email, enabled, kind, login string
		for _, a := range r.Resource.Annotations {
			if !strings.HasSuffix(a.Type, ".UserTrait") {
				continue
			}
			for _, e := range a.Emails {
				if email == "" || e.IsPrimary {
					email = e.Address
				}
			}
			enabled = map[string]string{"STATUS_ENABLED": "true", "STATUS_DISABLED": "false"}[a.Status.Status]
			kind = map[string]string{"ACCOUNT_TYPE_HUMAN": "human", "ACCOUNT_TYPE_SERVICE": "service"}[a.AccountType]
			login = a.LastLogin
		}
		out = append(out, fmt.Sprintf("%s %q %s enabled=%s kind=%s login=%s", r.Resource.ID.key(), r.Resource.DisplayName, email, enabled, kind, login))
	}
	return out
}

func (c cliEntitlements) lines() (out []string) {
	for _, e := range c.Entitlements {
		out = append(out, fmt.Sprintf("%s %q of %q slug=%s purpose=%s %q", e.Entitlement.ID, cmp.Or(e.Entitlement.DisplayName, e.Entitlement.Slug), e.Resource.DisplayName,
			e.Entitlement.Slug, strings.ToLower(strings.TrimPrefix(e.Entitlement.Purpose, "PURPOSE_VALUE_")), e.Entitlement.Description))
	}
	return out
}

// lines are the grants that users have directly, all that users have, and how many name nobody.
func (c cliGrants) lines(resources cliResources) (direct, effective []string, rejected int) {
	users := resources.users()
	known := map[string]bool{}
	for _, r := range resources.Resources {
		known[r.Resource.ID.key()] = true
	}
	for _, g := range c.Grants {
		who, what := g.Grant.Principal.ID.key(), g.Grant.Entitlement.ID
		if !known[who] {
			rejected++
			continue
		}
		if !users[who] {
			continue
		}
		effective = append(effective, who+" has "+what)
		if _, own := g.Grant.Sources.Sources[what]; own || len(g.Grant.Sources.Sources) == 0 {
			direct = append(direct, who+" has "+what)
		}
	}
	return direct, effective, rejected
}

// keeper keeps what it is given.
type keeper struct {
	records    []access.Record
	rejections []collect.Rejection
}

func (k *keeper) Put(r access.Record) error {
	k.records = append(k.records, r)
	return nil
}

func (k *keeper) Reject(r collect.Rejection) error {
	k.rejections = append(k.rejections, r)
	return nil
}

func (k *keeper) accountLines() (out []string) {
	for _, r := range k.records {
		if a, ok := r.(access.Account); ok {
			enabled, login := "", ""
			if a.Enabled != nil {
				enabled = fmt.Sprint(*a.Enabled)
			}
			if a.LastLoginAt != nil {
				login = a.LastLoginAt.Format("2006-01-02T15:04:05Z07:00")
			}
			out = append(out, fmt.Sprintf("%s %q %s enabled=%s kind=%s login=%s", a.ID, a.Name, a.Email, enabled, a.Kind, login))
		}
	}
	return out
}

func (k *keeper) entitlementLines() (out []string) {
	for _, r := range k.records {
		if e, ok := r.(access.Entitlement); ok && !strings.HasPrefix(e.ID, "resource:") {
			out = append(out, fmt.Sprintf("%s %q of %q slug=%s purpose=%s %q", e.ID, e.Name, e.Resource, e.Attributes["slug"], e.Attributes["purpose"], e.Attributes["description"]))
		}
	}
	return out
}

func (k *keeper) grantsBy(kind access.HolderKind) (out []access.Grant) {
	for _, r := range k.records {
		if g, ok := r.(access.Grant); ok && g.HolderKind == kind {
			out = append(out, g)
		}
	}
	return out
}

func (k *keeper) directLines() (out []string) {
	for _, g := range k.grantsBy(access.HolderAccount) {
		out = append(out, g.HolderID+" has "+g.EntitlementID)
	}
	return out
}

// effectiveLines closes the memberships as a scan does.
func (k *keeper) effectiveLines(t *testing.T) (out []string) {
	t.Helper()
	var ids []string
	number := map[string]uint32{}
	of := func(id string) uint32 {
		n, ok := number[id]
		if !ok {
			n = uint32(len(ids))
			number[id], ids = n, append(ids, id)
		}
		return n
	}
	var edges iter.Seq2[nesting.Edge, error] = func(yield func(nesting.Edge, error) bool) {
		for _, g := range k.grantsBy(access.HolderEntitlement) {
			if !yield(nesting.Edge{From: of(g.HolderID), To: of(g.EntitlementID)}, nil) {
				return
			}
		}
	}
	gives := map[string][]string{}
	_, err := nesting.Close(context.Background(), edges, nesting.Options{}, func(p nesting.Pair) error {
		gives[ids[p.From]] = append(gives[ids[p.From]], ids[p.To])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, g := range k.grantsBy(access.HolderAccount) {
		for _, id := range append(slices.Clone(gives[g.EntitlementID]), g.EntitlementID) {
			seen[g.HolderID+" has "+id] = true
		}
	}
	for line := range seen {
		out = append(out, line)
	}
	return out
}
