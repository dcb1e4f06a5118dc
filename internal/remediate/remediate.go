// Package remediate takes access away: it makes plans of findings, guards them, has them approved, carries them out
// change by change with a look before and after each, and undoes them.
package remediate

import "github.com/lapse-audit/lapse/internal/collect"

// Changer carries out changes in one source.
type Changer = collect.Changer
