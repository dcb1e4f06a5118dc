// Package nesting turns direct memberships of entitlements in each other into all that an entitlement gives, with the
// path by which it does.
package nesting

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
)

// Edge says that whoever holds From also holds To: group From is a member of group To.
type Edge struct{ From, To uint32 }

// Pair says that From gives To over Depth memberships. Path goes from From to To, both included, so it has Depth+1
// elements; it is a shortest path, and of several the one with the smallest numbers from From on.
type Pair struct {
	From, To uint32
	Depth    uint32
	Path     []uint32 // valid only until emit returns
}

// Options bound a closure. Zero means no bound.
type Options struct {
	MaxPairs uint64
	MaxDepth uint32
}

// Stats count what was closed.
type Stats struct {
	Entitlements uint64 // in at least one edge
	Edges        uint64 // distinct
	Pairs        uint64
	InCycles     uint64 // entitlements that give themselves
	Depth        uint32 // of the deepest pair
	Widest       uint32 // the entitlement that gives the most, the smallest of several
	WidestPairs  uint64
}

// TooManyError says that the closure passed Options.MaxPairs. Entitlement gives the most of those that were closed so
// far.
type TooManyError struct {
	Max         uint64
	Entitlement uint32
	Pairs       uint64
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("nesting gives more than %d pairs; entitlement %d alone gives %d others", e.Max, e.Entitlement, e.Pairs)
}

// TooDeepError says that a shortest path passed Options.MaxDepth.
type TooDeepError struct {
	Max  uint32
	Path []uint32
}

func (e *TooDeepError) Error() string {
	return fmt.Sprintf("nesting goes deeper than %d: from entitlement %d to %d", e.Max, e.Path[0], e.Path[len(e.Path)-1])
}

// Close emits every pair of entitlements of which one gives the other, ordered by From, then by depth, then by path. An
// entitlement in a cycle is not paired with itself. Edges may come in any order and more than once. Nothing is cut off:
// past a bound Close returns a *TooManyError or *TooDeepError, after some pairs were emitted. An error of edges or emit
// ends it and is returned as it is.
//
// Memory grows with the edges (about 40 bytes an edge at its peak), not with the pairs.
func Close(ctx context.Context, edges iter.Seq2[Edge, error], o Options, emit func(Pair) error) (Stats, error) {
	g, err := newGraph(ctx, edges)
	if err != nil {
		return Stats{}, err
	}
	w := &walk{graph: g, seen: make([]uint32, len(g.numbers)), parent: make([]uint32, len(g.numbers)), stats: Stats{
		Entitlements: uint64(len(g.numbers)), Edges: uint64(len(g.targets)),
	}}
	for from := range g.numbers {
		if err := w.from(ctx, uint32(from), o, emit); err != nil {
			return w.stats, err
		}
	}
	return w.stats, nil
}

// graph has the entitlements renumbered without gaps in the order of their numbers, so that ties are broken alike.
type graph struct {
	numbers []uint32 // ascending
	starts  []uint32 // of each one's targets
	targets []uint32 // ascending for each
}

func (g *graph) of(i uint32) []uint32 { return g.targets[g.starts[i]:g.starts[i+1]] }

func newGraph(ctx context.Context, edges iter.Seq2[Edge, error]) (*graph, error) {
	var all []Edge
	for e, err := range edges {
		if err != nil {
			return nil, err
		}
		if len(all)%100_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	all = slices.Compact(all)
	numbers := make([]uint32, 0, 2*len(all))
	for _, e := range all {
		numbers = append(numbers, e.From, e.To)
	}
	slices.Sort(numbers)
	g := &graph{numbers: slices.Clone(slices.Compact(numbers)), targets: make([]uint32, len(all))}
	g.starts = make([]uint32, len(g.numbers)+1)
	from := 0
	for i, e := range all {
		for g.numbers[from] != e.From {
			from++
			g.starts[from] = uint32(i)
		}
		to, _ := slices.BinarySearch(g.numbers, e.To)
		g.targets[i] = uint32(to)
	}
	for from < len(g.numbers) {
		from++
		g.starts[from] = uint32(len(all))
	}
	return g, nil
}

// walk goes breadth first from one entitlement after the other. Targets are visited in ascending order, hence each is
// first met on the smallest of its shortest paths.
type walk struct {
	graph  *graph
	seen   []uint32 // 1 + the start from which the entitlement was last met
	parent []uint32
	queue  []uint32
	path   []uint32
	stats  Stats
	steps  uint64
}

func (w *walk) from(ctx context.Context, from uint32, o Options, emit func(Pair) error) error {
	mark := from + 1
	w.seen[from] = mark
	w.queue = append(w.queue[:0], from)
	depth, levelEnd, cyclic := uint32(1), 1, false
	for head := 0; head < len(w.queue); head++ {
		if head == levelEnd {
			depth++
			levelEnd = len(w.queue)
		}
		at := w.queue[head]
		for _, to := range w.graph.of(at) {
			if w.steps++; w.steps%(1<<20) == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if w.seen[to] == mark {
				cyclic = cyclic || to == from
				continue
			}
			w.seen[to] = mark
			w.parent[to] = at
			w.queue = append(w.queue, to)
			pair := Pair{From: w.graph.numbers[from], To: w.graph.numbers[to], Depth: depth, Path: w.pathTo(to, depth)}
			if o.MaxDepth > 0 && depth > o.MaxDepth {
				return &TooDeepError{Max: o.MaxDepth, Path: slices.Clone(pair.Path)}
			}
			if o.MaxPairs > 0 && w.stats.Pairs == o.MaxPairs {
				return w.tooMany(from, o.MaxPairs)
			}
			w.stats.Pairs++
			w.stats.Depth = max(w.stats.Depth, depth)
			if err := emit(pair); err != nil {
				return err
			}
		}
	}
	if cyclic {
		w.stats.InCycles++
	}
	w.widest(from, uint64(len(w.queue)-1))
	return ctx.Err()
}

func (w *walk) pathTo(to, depth uint32) []uint32 {
	if cap(w.path) <= int(depth) {
		w.path = make([]uint32, 2*depth+8)
	}
	w.path = w.path[:depth+1]
	for i := int(depth); i > 0; i-- {
		w.path[i] = w.graph.numbers[to]
		to = w.parent[to]
	}
	w.path[0] = w.graph.numbers[to]
	return w.path
}

func (w *walk) widest(from uint32, pairs uint64) {
	if pairs > w.stats.WidestPairs {
		w.stats.Widest, w.stats.WidestPairs = w.graph.numbers[from], pairs
	}
}

// tooMany finishes counting what from gives, so that the error names the one to look at.
func (w *walk) tooMany(from uint32, max uint64) error {
	mark := from + 1
	for head := 0; head < len(w.queue); head++ {
		for _, to := range w.graph.of(w.queue[head]) {
			if w.seen[to] != mark {
				w.seen[to] = mark
				w.queue = append(w.queue, to)
			}
		}
	}
	w.widest(from, uint64(len(w.queue)-1))
	return &TooManyError{Max: max, Entitlement: w.stats.Widest, Pairs: w.stats.WidestPairs}
}
