package policy

import (
	"context"
	"strings"
	"testing"
)

func TestShippedTests(t *testing.T) {
	var out strings.Builder
	report, err := Test(context.Background(), shipped(t, Options{}), &out, TestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() || len(report.Untested) > 0 {
		t.Errorf("%d failed, untested %v\n%s", report.Failed, report.Untested, out.String())
	}
	for _, c := range report.Coverage {
		if c.Percent < 100 {
			t.Errorf("%s: tests reach %.1f%%, not lines %v", c.File, c.Percent, c.Missed)
		}
	}
	t.Logf("%d test cases", report.Passed)
}
