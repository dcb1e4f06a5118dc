// Package policies holds the rules that come with Lapse: one folder a rule, <area>/<slug>/policy.rego with its
// policy_test.rego, and lib, what they share.
package policies

import "embed"

// FS holds every rule, its tests and the library.
//
//go:embed */*.rego */*/*.rego
var FS embed.FS
