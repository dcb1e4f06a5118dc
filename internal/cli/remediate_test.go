package cli_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lapse-audit/lapse/internal/state/statetest"
)

// TestRemediation runs testdata/script/postgres/*.txtar, each against a PostgreSQL server of its own.
func TestRemediation(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script", "postgres"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			server, err := url.Parse(statetest.StartPostgres(env.T().(testing.TB)).URL("postgres"))
			if err != nil {
				return err
			}
			for name, v := range map[string]string{
				"PGURL": "postgres://" + server.Host + server.Path, "PGHOST": server.Hostname(), "PGPORT": server.Port(), "PGUSER": server.User.Username(),
				"PGDATABASE": "postgres", "PGPASSWORD": statetest.Password, "READS": "reads", "WRITES": "writes",
				"LAPSE_LIBCHDB": os.Getenv("LAPSE_LIBCHDB"), "LAPSE_ACTOR": "u123", "TZ": "UTC",
			} {
				env.Setenv(name, v)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "grab": grab, "fill": fill,
			// killed SECONDS PROGRAM ARGS... kills a program after so long, if it is still there.
			"killed": func(ts *testscript.TestScript, _ bool, args []string) {
				_ = ts.Exec("timeout", append([]string{"-s", "KILL"}, args...)...)
			},
		},
	})
}

// grab keeps what a group of a pattern finds in the last output: grab NAME PATTERN.
func grab(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: grab NAME PATTERN")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("%s finds nothing in the last output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// fill puts the values of variables into a file: fill FILE.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}
