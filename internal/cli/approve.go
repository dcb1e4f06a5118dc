package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/remediate"
	"github.com/lapse-audit/lapse/internal/state"
)

func newApprove(g *global) *cobra.Command {
	var key, makeKey string
	cmd := &cobra.Command{
		Use:   "approve PLAN",
		Short: "Sign a plan, so that it may be carried out",
		Long: `Sign the hash of a recorded plan with an approver's ed25519 key. PLAN is an id, or the JSON file of a plan: a file that
differs from what was recorded is refused. Approvers and their public keys stand in lapse.yaml under remediation.approvers.`,
		Example: `  lapse approve --new-key approver.pem
  lapse approve plan-k2m4 --key approver.pem`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case makeKey != "":
				return newKey(g, makeKey)
			case len(args) == 0:
				return cmd.Help()
			case key == "":
				return usagef("--key is missing: name the file of your private key; `lapse approve --new-key FILE` makes one")
			}
			return withState(g, func(cmd *cobra.Command, args []string, a *app.App, s *state.State) error {
				return approve(cmd, g, a, s, args[0], key)
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "file of your private key (PEM)")
	cmd.Flags().StringVar(&makeKey, "new-key", "", "make a pair of keys, and write the private one to this file")
	return cmd
}

func approve(cmd *cobra.Command, g *global, a *app.App, s *state.State, name, key string) error {
	p, recorded, err := a.FindPlan(cmd.Context(), name)
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	private, err := readKey(key)
	if err != nil {
		return fmt.Errorf("approve: %s: %w", key, err)
	}
	who, ok := a.Config.Remediation.FindApprover(private)
	if !ok {
		return fmt.Errorf("approve: %s names no approver with the key of %s: its public key is %s", a.Config.File, key, public(private))
	}
	given, err := s.ApprovePlan(cmd.Context(), state.Actor{ID: who.ID, Name: who.Name}, state.Approval{Plan: p.ID, Hash: recorded.Hash, Method: "ed25519", Signature: remediate.Sign(private, recorded)})
	if errors.Is(err, state.ErrExists) {
		err = fmt.Errorf("%s has approved plan %s before", who.ID, p.ID)
	}
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	if g.format == "json" {
		return printJSON(g.sys.Stdout, given)
	}
	_, err = fmt.Fprintf(g.sys.Stdout, "%s approves %s: %s\n", who.ID, p.ID, p.Totals())
	return err
}

func public(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

func readKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it holds no key in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it holds no private key in PKCS #8")
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("its key is no ed25519 key")
	}
	return private, nil
}

// newKey writes a private key for its owner alone, and prints what lapse.yaml needs of it.
func newKey(g *global, path string) error {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("approve: %s is there already: a key is not overwritten", path)
	}
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close()); err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	_, err = fmt.Fprintf(g.sys.Stdout, "The private key is in %s: keep it to yourself. In lapse.yaml:\n\nremediation:\n  approvers:\n  - id: ROSTER:ID\n    name: YOUR NAME\n    key: %s\n",
		path, base64.StdEncoding.EncodeToString(pub))
	return err
}
