package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/store"
)

func newStore(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Look after the store of facts",
	}
	cmd.AddCommand(newStoreStatus(g), newStorePrune(g), newStoreBackup(g), newStoreRestore(g))
	return cmd
}

// withStore runs a command that needs the facts.
func withStore(g *global, run func(*cobra.Command, []string, *app.App, *store.Store) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		a, err := g.open()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		s, err := a.Store(cmd.Context())
		if err != nil {
			return err
		}
		return run(cmd, args, a, s)
	}
}

func newStoreStatus(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show where the facts are, how much they take, and who holds them",
		RunE: withStore(g, func(cmd *cobra.Command, _ []string, a *app.App, s *store.Store) error {
			st, err := s.Status(cmd.Context())
			if err != nil {
				return err
			}
			if g.format == "json" {
				return printJSON(g.sys.Stdout, st)
			}
			l := list{columns: []string{"table", "rows", "on disk"}}
			for _, t := range st.Tables {
				l.add(t, t.Name, fmt.Sprint(t.Rows), size(t.Bytes))
			}
			if g.format == "csv" {
				return l.print(g.sys.Stdout, g.format, "")
			}
			day := func(t time.Time) string {
				if t.IsZero() {
					return "never"
				}
				return t.In(a.Config.Location).Format("2006-01-02 15:04 MST")
			}
			fmt.Fprintf(g.sys.Stdout, "store      %s, held by %s\nengine     ClickHouse %s\nschema     %d\nsnapshots  %d, from %s to %s\non disk    %s, %s free\n\n",
				st.Address, st.Holder, st.Engine, st.Schema, st.Snapshots, day(st.Oldest), day(st.Newest), size(st.Bytes), size(st.Free))
			return l.print(g.sys.Stdout, g.format, "It is empty.")
		}),
	}
}

func newStorePrune(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "prune",
		Short: "Take away what retention doesn't keep, as every scan does at its end",
		RunE: withStore(g, func(cmd *cobra.Command, _ []string, a *app.App, _ *store.Store) error {
			p, err := a.Prune(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "%d runs and %d snapshots were taken away, %d partitions whole\n", p.Runs, p.Snapshots, p.Partitions)
			return err
		}),
	}
}

func newStoreBackup(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy an embedded store to a new folder, while no other command writes",
		Args:  cobra.ExactArgs(1),
		RunE: withStore(g, func(cmd *cobra.Command, args []string, a *app.App, _ *store.Store) error {
			if err := a.Backup(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(g.sys.Stdout, "The facts are in %s. Copy the decisions too: %s\n", args[0], a.Config.StateURL())
			return err
		}),
	}
}

func newStoreRestore(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Bring a backup back into a store that is empty",
		Args:  cobra.ExactArgs(1),
		RunE: withStore(g, func(cmd *cobra.Command, args []string, a *app.App, _ *store.Store) error {
			if err := a.Restore(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintln(g.sys.Stdout, "The facts are back.")
			return err
		}),
	}
}

// size says a number of bytes in words.
func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
