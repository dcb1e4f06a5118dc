package collect

import "context"

// Doctor is a Collector that can say what it may not read and what to do about it. Diagnose reads the source and changes
// nothing in it; an error means that it could not be examined.
type Doctor interface {
	Diagnose(context.Context) ([]Advice, error)
}

// Advice is one thing that was looked at.
type Advice struct {
	What    string // a field, a right, or what to do
	Missing bool   // something that reading needs is not there
	Detail  string // one line; holds no secrets
}
