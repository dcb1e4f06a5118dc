package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/store"
	"github.com/lapse-audit/lapse/internal/synth"
)

func newDemo(g *global) *cobra.Command {
	o := demoOptions{global: g}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make up a company, scan it night by night, and write the report",
		Long: `Make up a company (people in three time zones, a directory, six apps and HR, and the directory and the cloud of a firm
that it bought; with joiners, movers, leavers, rehires, leave, contractors, service and shared accounts), write what its
systems would export each night, and scan each night as it would have been. No set-up, no server, no network. The same
seed always makes the same company.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "demo", "folder to write, which must not exist or be of an earlier demo")
	f.IntVar(&o.people, "people", 2000, "people in the company")
	f.IntVar(&o.nights, "nights", 30, "nights to scan")
	f.Uint64Var(&o.seed, "seed", 1, "another number makes another company")
	return cmd
}

type demoOptions struct {
	*global
	dir            string
	people, nights int
	seed           uint64
}

// marker says that a folder was made by the demo, so that it may be made anew.
const marker = ".lapse-demo"

func (o *demoOptions) run(ctx context.Context) (err error) {
	if o.nights < 1 || o.people < 1 {
		return usagef("--nights and --people must be at least 1")
	}
	if err := o.prepare(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	company := synth.New(synth.Config{Seed: o.seed, People: o.people, Nights: o.nights})
	c, err := config.Load(filepath.Join(o.dir, "lapse.yaml"))
	if err != nil {
		return err
	}
	night := 0
	library, _ := o.sys.LookupEnv("LAPSE_LIBCHDB")
	log := *o.global
	log.quiet = !o.verbose
	a := app.New(c, app.Options{Now: func() time.Time { return company.RunTime(night) }, Library: library, Log: log.logger(), Version: o.sys.Version})
	defer func() { err = errors.Join(err, a.Close()) }()

	fmt.Fprintf(o.sys.Stdout, "A company of %d people with two directories, seven apps and HR, as its systems export them, in %s\n\n", company.People(), filepath.Join(o.dir, synth.Exports))
	w := tabwriter.NewWriter(o.sys.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "night\tpeople\taccounts\tgrants\topen\tnew\tclosed\t")
	for ; night < o.nights; night++ {
		if err := company.WriteExports(o.dir, night); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		out, err := a.Scan(ctx, app.ScanOptions{Progress: silent{}, Actor: state.Actor{ID: "demo"}})
		if err != nil {
			return fmt.Errorf("demo, night %d: %w", night+1, err)
		}
		r := out.Run
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.Time.In(c.Location).Format("Mon 2 Jan"), r.People, r.Accounts, r.Effective, r.Open, r.New, r.Closed)
		if r.Status != store.RunComplete {
			return fmt.Errorf("demo, night %d: the run is incomplete: %v", night+1, r.Reasons)
		}
	}
	night--
	if err := w.Flush(); err != nil {
		return err
	}
	report, err := a.Report(ctx, 0)
	if err != nil {
		return err
	}
	dir := filepath.Join(o.dir, "report")
	if err := app.WriteReport(report, dir); err != nil {
		return err
	}
	fmt.Fprintln(o.sys.Stdout)
	if err := o.printSummary(report, dir); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.sys.Stdout, "\nLook around: cd %s, then lapse findings list, lapse policy list, lapse store status.\n", o.dir)
	return err
}

// prepare makes the folder, which must be new or an earlier demo's.
func (o *demoOptions) prepare() error {
	entries, err := os.ReadDir(o.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(o.dir, marker)); err != nil {
			return fmt.Errorf("%s is there and is no earlier demo: name another folder with --dir", o.dir)
		}
		if err := os.RemoveAll(o.dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.dir, marker), nil, 0o600); err != nil {
		return err
	}
	text := synth.New(synth.Config{Seed: o.seed, People: o.people, Nights: o.nights}).Config()
	return os.WriteFile(filepath.Join(o.dir, "lapse.yaml"), []byte(text), 0o600)
}
