package nesting

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func given(edges ...Edge) iter.Seq2[Edge, error] {
	return func(yield func(Edge, error) bool) {
		for _, e := range edges {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func closed(t *testing.T, o Options, edges ...Edge) ([]Pair, Stats) {
	t.Helper()
	var out []Pair
	stats, err := Close(context.Background(), given(edges...), o, func(p Pair) error {
		p.Path = slices.Clone(p.Path)
		out = append(out, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, stats
}

func TestClose(t *testing.T) {
	for _, tc := range []struct {
		name     string
		edges    []Edge
		want     []Pair
		inCycles uint64
	}{
		{"nothing", nil, nil, 0},
		{"a chain", []Edge{{7, 9}, {3, 7}}, []Pair{{3, 7, 1, []uint32{3, 7}}, {3, 9, 2, []uint32{3, 7, 9}}, {7, 9, 1, []uint32{7, 9}}}, 0},
		{"an edge twice", []Edge{{1, 2}, {1, 2}}, []Pair{{1, 2, 1, []uint32{1, 2}}}, 0},
		{"a group in itself", []Edge{{1, 1}, {1, 2}}, []Pair{{1, 2, 1, []uint32{1, 2}}}, 1},
		{"two groups in each other", []Edge{{1, 2}, {2, 1}, {0, 1}}, []Pair{
			{0, 1, 1, []uint32{0, 1}}, {0, 2, 2, []uint32{0, 1, 2}}, {1, 2, 1, []uint32{1, 2}}, {2, 1, 1, []uint32{2, 1}},
		}, 2},
		{"the shorter of two paths", []Edge{{1, 2}, {2, 3}, {1, 3}}, []Pair{{1, 2, 1, []uint32{1, 2}}, {1, 3, 1, []uint32{1, 3}}, {2, 3, 1, []uint32{2, 3}}}, 0},
		{"of equal paths the smallest", []Edge{{1, 9}, {1, 5}, {9, 20}, {5, 20}}, []Pair{
			{1, 5, 1, []uint32{1, 5}}, {1, 9, 1, []uint32{1, 9}}, {1, 20, 2, []uint32{1, 5, 20}}, {5, 20, 1, []uint32{5, 20}}, {9, 20, 1, []uint32{9, 20}},
		}, 0},
		{"the largest numbers", []Edge{{1<<32 - 1, 1<<32 - 2}, {1<<32 - 2, 0}}, []Pair{
			{1<<32 - 2, 0, 1, []uint32{1<<32 - 2, 0}}, {1<<32 - 1, 1<<32 - 2, 1, []uint32{1<<32 - 1, 1<<32 - 2}}, {1<<32 - 1, 0, 2, []uint32{1<<32 - 1, 1<<32 - 2, 0}},
		}, 0},
	} {
		got, stats := closed(t, Options{}, tc.edges...)
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
		if stats.Pairs != uint64(len(tc.want)) || stats.InCycles != tc.inCycles {
			t.Errorf("%s: %+v, want %d pairs, %d in cycles", tc.name, stats, len(tc.want), tc.inCycles)
		}
	}
}

// naive closes by trying every path level by level, keeping the smallest of each length.
func naive(edges []Edge) []Pair {
	next, nodes := map[uint32][]uint32{}, map[uint32]bool{}
	for _, e := range edges {
		next[e.From] = append(next[e.From], e.To)
		nodes[e.From], nodes[e.To] = true, true
	}
	var out []Pair
	for from := range nodes {
		best := map[uint32][]uint32{from: {from}}
		for level := [][]uint32{{from}}; len(level) > 0; {
			found := map[uint32][]uint32{}
			for _, path := range level {
				for _, to := range next[path[len(path)-1]] {
					longer := append(slices.Clone(path), to)
					if was, ok := found[to]; best[to] == nil && (!ok || slices.Compare(longer, was) < 0) {
						found[to] = longer
					}
				}
			}
			level = nil
			for to, path := range found {
				best[to] = path
				level = append(level, path)
			}
		}
		delete(best, from)
		for to, path := range best {
			out = append(out, Pair{from, to, uint32(len(path) - 1), path})
		}
	}
	slices.SortFunc(out, func(a, b Pair) int {
		if a.From != b.From || a.Depth != b.Depth {
			return slices.Compare([]uint32{a.From, a.Depth}, []uint32{b.From, b.Depth})
		}
		return slices.Compare(a.Path, b.Path)
	})
	return out
}

func TestCloseAgainstNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	cycles := 0
	for round := range 600 {
		nodes := 1 + rng.IntN(25)
		edges := make([]Edge, rng.IntN(3*nodes))
		for i := range edges {
			edges[i] = Edge{uint32(rng.IntN(nodes)) * 3, uint32(rng.IntN(nodes)) * 3}
		}
		want := naive(edges)
		got, stats := closed(t, Options{}, edges...)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("round %d, %v: %s", round, edges, d)
		}
		cycles += int(stats.InCycles)
		rng.Shuffle(len(edges), func(i, j int) { edges[i], edges[j] = edges[j], edges[i] })
		if again, _ := closed(t, Options{}, edges...); !cmp.Equal(again, got) {
			t.Fatalf("round %d: the order of edges matters", round)
		}
	}
	if cycles == 0 {
		t.Error("no graph had a cycle")
	}
}

func TestBounds(t *testing.T) {
	edges := []Edge{{1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}}
	keep := func(Pair) error { return nil }
	var many *TooManyError
	if _, err := Close(context.Background(), given(edges...), Options{MaxPairs: 3}, keep); !errors.As(err, &many) || *many != (TooManyError{3, 1, 5}) {
		t.Errorf("got %v, want entitlement 1 with 5 pairs named", err)
	}
	if got, _ := closed(t, Options{MaxPairs: 15, MaxDepth: 5}, edges...); len(got) != 15 {
		t.Errorf("%d pairs, want 15 within the bounds", len(got))
	}
	var deep *TooDeepError
	if _, err := Close(context.Background(), given(edges...), Options{MaxDepth: 2}, keep); !errors.As(err, &deep) || !slices.Equal(deep.Path, []uint32{1, 2, 3, 4}) {
		t.Errorf("got %v, want the path that is too deep", err)
	}
}

func TestErrorsPassThrough(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Close(context.Background(), func(yield func(Edge, error) bool) { yield(Edge{}, broken) }, Options{}, nil); err != broken {
		t.Errorf("edges: %v", err)
	}
	if _, err := Close(context.Background(), given(Edge{1, 2}), Options{}, func(Pair) error { return broken }); err != broken {
		t.Errorf("emit: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := Close(ctx, given(Edge{1, 2}, Edge{3, 4}), Options{}, func(Pair) error { n++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("cancelled: %v after %d pairs", err, n)
	}
}

// company nests groups as companies do: chains of up to eight levels, some groups in many others, here and there a cycle.
func company(groups, edges int) iter.Seq2[Edge, error] {
	return func(yield func(Edge, error) bool) {
		rng := rand.New(rand.NewPCG(1, 1))
		level := groups / 8
		for range edges {
			from := rng.IntN(groups - level)
			to := min(groups-1, (from/level+1)*level+int(rng.ExpFloat64()*float64(level)/12))
			if rng.IntN(50_000) == 0 {
				from, to = to, from
			}
			if !yield(Edge{uint32(from), uint32(to)}, nil) {
				return
			}
		}
	}
}

func BenchmarkClose(b *testing.B) {
	for _, size := range []struct{ groups, edges int }{{100_000, 150_000}, {100_000, 5_000_000}} {
		b.Run(fmt.Sprintf("groups=%d/edges=%d", size.groups, size.edges), func(b *testing.B) {
			for b.Loop() {
				var peak atomic.Uint64
				stop, stopped := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(stopped)
					for {
						var m runtime.MemStats
						runtime.ReadMemStats(&m)
						peak.Store(max(peak.Load(), m.HeapSys-m.HeapReleased))
						select {
						case <-stop:
							return
						case <-time.After(20 * time.Millisecond):
						}
					}
				}()
				enough := errors.New("enough")
				pairs := 0
				stats, err := Close(context.Background(), company(size.groups, size.edges), Options{}, func(p Pair) error {
					if pairs++; pairs == 20_000_000 {
						return enough
					}
					return nil
				})
				close(stop)
				<-stopped
				if err != nil && err != enough {
					b.Fatal(err)
				}
				b.ReportMetric(float64(peak.Load())/1e6, "MB/peak")
				b.ReportMetric(float64(stats.Pairs), "pairs")
				b.ReportMetric(float64(stats.Depth), "depth")
				b.ReportMetric(float64(stats.InCycles), "in-cycles")
			}
		})
	}
}
