package policy

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Runaway rules are each stopped within their budget of time and memory, whatever they run away with; the others' findings
// are all there.
func TestRunaways(t *testing.T) {
	const double = "concat(\"\", [%s, %s])"
	var growth strings.Builder
	growth.WriteString("s0 := concat(\"\", [input.account.id, \"0123456789abcdef\"])\n")
	for i := range 40 { // 16 bytes doubled 40 times
		fmt.Fprintf(&growth, "\ts%d := %s\n", i+1, fmt.Sprintf(double, fmt.Sprint("s", i), fmt.Sprint("s", i)))
	}
	for name, c := range map[string]struct{ body, want string }{
		"10^8 combinations":            {"some a in numbers.range(1, 10000)\n\tsome b in numbers.range(1, 10000)\n\ta * b == -1", "it takes longer than 1s"},
		"a text that doubles":          {growth.String() + "\tcount(s40) == 0", "concat: the result would have more than 1048576 bytes"},
		"a list of texts without end":  {"big := sprintf(\"%0500000d\", [1])\n\ttexts := [t | some _ in numbers.range(1, 100000); t := concat(\"\", [big, big])]\n\tcount(texts) == 0", "it takes more than 256 MiB of memory"},
		"a wide number":                {"sprintf(\"%999999d %999999d\", [1, 1]) == \"x\"", "sprintf: the result would have more than 1048576 bytes"},
		"a width from an argument":     {"sprintf(\"%*d %*d\", [999999, 1, 999999, 1]) == \"x\"", "sprintf: the result would have more than 1048576 bytes"},
		"a text replaced by long ones": {"replace(sprintf(\"%0900d\", [1]), \"0\", sprintf(\"%090000d\", [1])) == \"x\"", "replace: the result would have more than 1048576 bytes"},
		"a pattern replaced":           {"regex.replace(sprintf(\"%0900d\", [1]), \"0\", sprintf(\"%090000d\", [1])) == \"x\"", "regex.replace: the result would have more than 1048576 bytes"},
		"replace by a table":           {"strings.replace_n({\"0\": sprintf(\"%090000d\", [1])}, sprintf(\"%0900d\", [1])) == \"x\"", "strings.replace_n: the result would have more than 1048576 bytes"},
		"a long range":                 {"count(numbers.range(1, 1000000000)) == 0", "numbers.range: the result would have more than 100000 members"},
		"a long range in steps":        {"count(numbers.range_step(1, 1000000000, 2)) == 0", "numbers.range_step: the result would have more than 100000 members"},
		"a list that grows":            {"l := numbers.range(1, 90000)\n\tcount(array.concat(l, l)) == 0", "array.concat: the result would have more than 100000 members"},
		"a shift":                      {"bits.lsh(1, 4000000000) == 0", "bits.lsh: the result would have more than 1048576 bytes"},
		"a number that grows":          {"a := 1e9999\n\ta * a == 0", "mul: the result would have more than 1048576 bytes"},
		"a template string":            {"a := sprintf(\"%0999999d\", [1])\n\t$\"{a}{a}\" == \"x\"", "the result would have more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := []string{ruleText("ACME-01", "", sound), ruleText("ACME-02", "", "findings contains {\"message\": \"x\"} if {\n\t"+c.body+"\n}"), ruleText("ACME-03", "", sound)}
			budget := time.Minute // so that it is not the time that stops it
			if strings.Contains(c.want, "longer than") {
				budget = time.Second
			}
			e := newEngine(t, pack(t, rules...), EngineOptions{Memory: 256 << 20, Budget: budget})
			began := time.Now()
			peak := watchPeak(t)
			var wg sync.WaitGroup
			hits := make([]int, 2)
			for n := range hits { // two workers: one must not be blamed for the other's
				ev := e.NewEvaluator()
				wg.Go(func() {
					for range 3 {
						hits[n] += len(evalAll(t, ev, access.SubjectAccount, accountRow(t, nil)))
					}
				})
			}
			wg.Wait()
			took := time.Since(began)
			if hits[0] != 6 || hits[1] != 6 {
				t.Errorf("%v findings of the sound rules, want 6 and 6", hits)
			}
			f := e.Failures()
			if len(f) != 1 || f["ACME-02"] == nil || !strings.Contains(f["ACME-02"].Error(), c.want) || !strings.Contains(f["ACME-02"].Error(), "acme/r1.rego:") {
				t.Errorf("failures %v, want %s", f, c.want)
			}
			if took > 2*time.Minute {
				t.Errorf("stopped after %v", took)
			}
			mib := peak()
			if mib > 1500 {
				t.Errorf("the heap grew to %d MiB", mib)
			}
			t.Logf("stopped after %v, heap at most %d MiB", took.Round(time.Millisecond), mib)
		})
	}
}

// watchPeak measures the heap until the function that it returns is called.
func watchPeak(t *testing.T) func() uint64 {
	t.Helper()
	runtime.GC()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		for {
			select {
			case <-stop:
				peak <- most >> 20
				return
			case <-time.After(2 * time.Millisecond):
				most = max(most, taken())
			}
		}
	}()
	return func() uint64 { close(stop); return <-peak }
}
