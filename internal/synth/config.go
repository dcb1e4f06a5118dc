package synth

import (
	_ "embed"
	"strings"
)

//go:embed lapse.yaml
var config string

// Config is a lapse.yaml that reads the exports folder beside it, with the fourteen rules on that Truth knows.
func (c *Company) Config() string { return config }

// ConfigLDIF is the same, but it reads the directory from DirectoryLDIF, by the lines that Config has commented out.
func (c *Company) ConfigLDIF() string {
	const source, other = "  - uid: ad\n", "  # The same directory"
	before, rest, _ := strings.Cut(config, source)
	_, rest, _ = strings.Cut(rest, other)
	_, rest, _ = strings.Cut(rest, "\n")
	lines, after, _ := strings.Cut(rest, "\n\n")
	lines = strings.ReplaceAll("\n"+lines, "\n  #", "\n  ")
	return before + strings.TrimPrefix(lines, "\n") + "\n\n" + after
}
