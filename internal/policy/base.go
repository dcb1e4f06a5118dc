package policy

import (
	"context"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// base is a lane's parameters and tables, as topdown.BaseCache: they don't change, so that no evaluation has to read them out
// of the store again. It is for many goroutines.
type base struct{ data ast.Object }

func newBase(ctx context.Context, store storage.Store, txn storage.Transaction) (base, error) {
	v, err := store.Read(ctx, txn, storage.Path{})
	if err != nil {
		return base{}, err
	}
	data, ok := v.(ast.Object)
	if !ok {
		return base{}, fmt.Errorf("they are a %T", v)
	}
	return base{data}, nil
}

// Get returns nil where the store has to be asked: it knows what of it is not data.
func (b base) Get(ref ast.Ref) ast.Value {
	if len(ref) < 2 {
		return nil
	}
	v, err := b.data.Find(ref[1:])
	if err != nil {
		return nil
	}
	return v
}

// Put has nothing to add.
func (base) Put(ast.Ref, ast.Value) {}
