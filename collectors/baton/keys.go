package baton

import "github.com/lapse-audit/lapse/internal/collect"

// keys is a set of keys of resources, whatever the length of their ids.
type keys struct{ marks *collect.Marks }

func newKeys() *keys { return &keys{collect.NewMarks()} }

func (k *keys) add(key string) { k.marks.Set(k.marks.Of(key), 1) }

func (k *keys) has(key string) bool { return k.marks.Get(k.marks.Of(key)) > 0 }
