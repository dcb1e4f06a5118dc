package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newLedger(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Verify and export the record of all decisions",
	}
	cmd.AddCommand(newLedgerVerify(g), newLedgerHead(g), newLedgerExport(g))
	return cmd
}

func newLedgerVerify(g *global) *cobra.Command {
	var anchor, file string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that no entry was altered, removed or moved",
		Long: `Check the whole chain of the ledger. Without --anchor a cut tail can't be seen: note what 'lapse ledger head' prints
somewhere else, and give it here later.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var at *state.Anchor
			if anchor != "" {
				var err error
				if at, err = parseAnchor(anchor); err != nil {
					return usageError{err}
				}
			}
			v, err := verifyLedger(cmd, g, file, at)
			if err != nil {
				return fmt.Errorf("ledger verify: %w", err)
			}
			if g.format == "json" {
				err = printJSON(g.sys.Stdout, v)
			} else {
				_, err = fmt.Fprintln(g.sys.Stdout, v)
			}
			if err == nil && !v.OK() {
				return exit{exitError}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&anchor, "anchor", "", "SEQ:HASH noted earlier by 'lapse ledger head'")
	cmd.Flags().StringVar(&file, "file", "", "check a file written by 'lapse ledger export' instead")
	return cmd
}

func verifyLedger(cmd *cobra.Command, g *global, file string, at *state.Anchor) (state.Verification, error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return state.Verification{}, err
		}
		defer f.Close()
		return state.VerifyExport(f, at)
	}
	a, err := g.open()
	if err != nil {
		return state.Verification{}, err
	}
	defer a.Close()
	s, err := a.State(cmd.Context())
	if err != nil {
		return state.Verification{}, err
	}
	return s.VerifyLedger(cmd.Context(), at)
}

func parseAnchor(text string) (*state.Anchor, error) {
	seq, hash, ok := strings.Cut(text, ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	if !ok || err != nil || hash == "" {
		return nil, fmt.Errorf("--anchor %q: want SEQ:HASH as 'lapse ledger head' prints it", text)
	}
	return &state.Anchor{Seq: n, Hash: hash}, nil
}

func newLedgerHead(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "head",
		Short: "Print the ledger's last place, to be noted elsewhere as an anchor",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, _ *app.App, s *state.State) error {
			head, err := s.Head(cmd.Context())
			if err != nil {
				return fmt.Errorf("ledger head: %w", err)
			}
			if g.format == "json" {
				return printJSON(g.sys.Stdout, head)
			}
			_, err = fmt.Fprintf(g.sys.Stdout, "%d:%s\n", head.Seq, head.Hash)
			return err
		}),
	}
}

func newLedgerExport(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Write the ledger as JSON lines",
		RunE: withState(g, func(cmd *cobra.Command, _ []string, _ *app.App, s *state.State) error {
			return s.Export(cmd.Context(), g.sys.Stdout)
		}),
	}
}

// withState runs a command that needs the decisions.
func withState(g *global, run func(*cobra.Command, []string, *app.App, *state.State) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		a, err := g.open()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		s, err := a.State(cmd.Context())
		if err != nil {
			return err
		}
		return run(cmd, args, a, s)
	}
}
