package synth

import _ "embed"

//go:embed lapse.yaml
var config string

// Config is a lapse.yaml that reads the exports folder beside it, with all of the fourteen rules on.
func (c *Company) Config() string { return config }
