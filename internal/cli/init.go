package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

//go:embed init.yaml
var initTemplate []byte

func newInit(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented lapse.yaml to start from",
		RunE: func(*cobra.Command, []string) error {
			path := g.configPath()
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("init: %s is there already and is left as it is: edit it, or name another file with --config", path)
			}
			if err != nil {
				return fmt.Errorf("init: %w", err)
			}
			_, err = f.Write(initTemplate)
			if err = errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("init: %w", err)
			}
			_, err = fmt.Fprintf(g.sys.Stdout, `Wrote %s. Next:
  1. put an export of HR and of one app into %s
  2. name their columns in %[1]s
  3. lapse doctor    checks the file and every source
  4. lapse scan      snapshots, judges, reports
`, path, filepath.Join(filepath.Dir(path), "exports"))
			return err
		},
	}
}
