// Package policies holds the rules that come with Lapse: one folder a rule, <area>/<slug>/policy.rego with its
// policy_test.rego, and lib, what they share.
package policies

import "embed"

// FS holds every rule, its tests and its table, and the library.
//
//go:embed */*.rego */*/*.rego */*/data.yaml */*/data.schema.json
var FS embed.FS

// Profiles says which rules each profile turns on, and with which thresholds.
//
//go:embed profiles.yaml
var Profiles []byte
