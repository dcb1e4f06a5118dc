package store

import "testing"

// The suite of runs, one for every way to the engine.

func TestRunsEmbedded(t *testing.T) { testRuns(t, openEmbedded(t)) }
func TestRunsSocket(t *testing.T)   { testRuns(t, openSocket(t, openEmbedded(t))) }
func TestRunsHTTP(t *testing.T)     { testRuns(t, openHTTP(t, openEmbedded(t))) }

func testRuns(t *testing.T, s *Store) {
	for _, part := range []struct {
		name string
		test func(*testing.T, *Store)
	}{{"subjects", testSubjects}, {"screen", testScreen}, {"changes", testChanges}, {"findings", testFindings}, {"unfinished", testUnfinishedRun}} {
		t.Run(part.name, func(t *testing.T) {
			emptyStore(t, s)
			part.test(t, s)
		})
	}
}

// The life of findings is one statement a night: the way to the engine makes no difference to it.
func TestStates(t *testing.T) { testStates(t, openEmbedded(t)) }

// emptyStore takes out all that earlier tests left, so that each begins with a first night.
func emptyStore(t *testing.T, s *Store) {
	t.Helper()
	tables, err := list(t.Context(), s, scanText, "SELECT name FROM system.tables WHERE database = currentDatabase() AND name != '"+schemaTable+"'")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if err := s.exec(t.Context(), "TRUNCATE TABLE "+table); err != nil {
			t.Fatal(err)
		}
	}
}
