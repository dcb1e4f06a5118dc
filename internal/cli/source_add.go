package cli

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
)

func newSourceAdd(g *global) *cobra.Command {
	o := sourceAddOptions{global: g}
	cmd := &cobra.Command{
		Use:   "add TYPE [NAME]",
		Short: "Print the section of a new source for lapse.yaml, or write it there",
		Long: `Print what a source needs in lapse.yaml, with comments: only what says FILL-IN has to be filled in, and the secrets be put
where they are looked for. TYPE is baton, file, ldap, scim or sql; a recipe of ` + "`lapse source list`" + `, such as okta; a recipe of your
own, ./my-app.yaml; or a database whose own logins are read, such as postgres. NAME is the source's uid, by default TYPE.

With --write the section is appended to the sources in lapse.yaml, and all else is left as it is.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(args) },
	}
	cmd.Flags().BoolVar(&o.write, "write", false, "append it to lapse.yaml")
	return cmd
}

type sourceAddOptions struct {
	*global
	write bool
}

var uidForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func (o *sourceAddOptions) run(args []string) error {
	what := args[0]
	uid := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(what), ".yaml"), ".yml")
	if len(args) > 1 {
		uid = args[1]
	}
	if !uidForm.MatchString(uid) {
		return usagef("source add: %q can't be the uid of a source: want lower-case letters, digits, '.', '_' or '-', at most 64", uid)
	}
	path := o.configPath()
	section, err := app.Section(what, uid, filepath.Dir(path))
	if err != nil {
		return err
	}
	if !o.write {
		_, err := fmt.Fprint(o.sys.Stdout, section)
		return err
	}
	if err := config.WriteSource(path, section); err != nil {
		return fmt.Errorf("source add: %w", err)
	}
	_, err = fmt.Fprintf(o.sys.Stdout, "Added %s to %s. Next: fill in what says FILL-IN, then lapse doctor %[1]s\n", uid, path)
	return err
}
