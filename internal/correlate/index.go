package correlate

import "slices"

// index finds people by a key. Nearly every key is one person's, so only shared keys cost a slice.
type index struct {
	one  map[string]int32
	many map[string][]int32
}

func newIndex(size int) index {
	return index{one: make(map[string]int32, size), many: map[string][]int32{}}
}

func (x index) add(key string, person int32) {
	if key == "" {
		return
	}
	if all, ok := x.many[key]; ok {
		if all[len(all)-1] != person {
			x.many[key] = append(all, person)
		}
		return
	}
	if first, ok := x.one[key]; ok {
		if first != person {
			delete(x.one, key)
			x.many[key] = []int32{first, person}
		}
		return
	}
	x.one[key] = person
}

// finish makes each key's people distinct. It is apart from add because one placeholder ("none") can be the key of half
// a roster.
func (x index) finish() {
	for key, all := range x.many {
		slices.Sort(all)
		x.many[key] = slices.Compact(all)
	}
}

// find gives the people with this key in ascending order.
func (x index) find(key string) []int32 {
	if key == "" {
		return nil
	}
	if i, ok := x.one[key]; ok {
		return []int32{i}
	}
	return x.many[key]
}
