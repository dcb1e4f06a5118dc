package store

import "testing"

func TestBestCoverage(t *testing.T) {
	got := bestCoverage([]map[string]string{
		{"mfa": "none", "owner": "partial", "email": "none"},
		{"mfa": "full", "owner": "none", "email": "none"},
		{"mfa": "partial", "created": "full"},
	})
	wantEqual(t, "coverage", got, map[string]string{"mfa": "full", "owner": "partial", "email": "none", "created": "full"})
	wantEqual(t, "coverage of nothing", bestCoverage(nil), map[string]string{})
}
