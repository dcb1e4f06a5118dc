// Command licenses collects the licences of what a release ships: of Go, of every module that is linked into the binary,
// and of the engine with all that is linked into it. It fails where it finds none, or one that nobody has agreed to.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/google/licensecheck"

	"github.com/lapse-audit/lapse/internal/chdb"
)

func main() {
	out := flag.String("out", "", "folder to write, which must not exist")
	library := flag.String("library", "", "path of libchdb")
	manifest := flag.String("engine", "", "package.json that libchdb came with")
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("licenses: ")
	if *out == "" || *library == "" || *manifest == "" || flag.NArg() != 1 {
		log.Fatal("usage: licenses -out FOLDER -library libchdb.so -engine package.json PACKAGE")
	}
	if err := collect(context.Background(), *out, *library, *manifest, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func collect(ctx context.Context, out, library, manifest, pkg string) error {
	if err := os.Mkdir(out, 0o755); err != nil {
		return err
	}
	linked, err := linked(ctx, pkg)
	if err != nil {
		return err
	}
	var index strings.Builder
	index.WriteString("# What Lapse is made of\n\nLapse itself is under the Apache License 2.0 (LICENSE). It is shipped with the following.\n\n## In the binary\n\n")
	for _, c := range linked {
		kinds, err := c.save(filepath.Join(out, filepath.FromSlash(c.name)))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Fprintf(&index, "- %s %s: %s\n", c.name, c.version, strings.Join(kinds, ", "))
	}
	if err := engine(ctx, &index, out, library, manifest); err != nil {
		return fmt.Errorf("the engine: %w", err)
	}
	return os.WriteFile(filepath.Join(out, "INDEX.md"), []byte(index.String()), 0o644)
}

// component is a module, or Go itself, with the folders of its packages that are linked.
type component struct {
	name, version, root string
	folders             []string
}

// linked lists what the package and all that it imports come from, by name.
func linked(ctx context.Context, pkg string) ([]*component, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Dir,ImportPath,Standard,Module", pkg)
	cmd.Stderr = os.Stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	found := map[string]*component{"go": {name: "go", version: strings.TrimPrefix(runtime.Version(), "go"), root: strings.TrimSpace(string(root))}}
	for d := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			Dir, ImportPath string
			Standard        bool
			Module          *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		switch {
		case p.Standard || p.Module != nil && p.Module.Main:
			continue // Go's licence covers what it vendors, too
		case p.Module == nil:
			return nil, fmt.Errorf("%s belongs to no module", p.ImportPath)
		}
		c := found[p.Module.Path]
		if c == nil {
			c = &component{name: p.Module.Path, version: p.Module.Version, root: p.Module.Dir}
			found[c.name] = c
		}
		c.folders = append(c.folders, p.Dir)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *component) int { return cmp.Compare(a.name, b.name) }), nil
}

// text is the name of a file that says on which terms, or whose, something is.
var text = regexp.MustCompile(`(?i)^(licen[cs]es?|copying|unlicense|notice|patents|copyright)([._-].*)?$`)

// save copies the texts of a component, from the folders that are linked up to its root, and says which licences they are.
func (c *component) save(to string) ([]string, error) {
	files := map[string]bool{}
	for _, dir := range append(slices.Clone(c.folders), c.root) {
		for {
			entries, err := os.ReadDir(dir)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if e.Type().IsRegular() && text.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
					files[filepath.Join(dir, e.Name())] = true
				}
			}
			if dir == c.root {
				break
			}
			up := filepath.Dir(dir)
			if !strings.HasPrefix(up, c.root) {
				return nil, fmt.Errorf("%s is outside %s", dir, c.root)
			}
			dir = up
		}
	}
	var kinds []string
	for _, file := range slices.Sorted(maps.Keys(files)) {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(c.root, file)
		if err != nil {
			return nil, err
		}
		for _, m := range licensecheck.Scan(body).Match {
			if !agreed[m.ID] {
				return nil, fmt.Errorf("%s: nobody has agreed to %s yet: see whether it can be shipped, and add it to agreed in deploy/licenses", rel, m.ID)
			}
			kinds = append(kinds, m.ID)
		}
		if err := write(filepath.Join(to, rel), body); err != nil {
			return nil, err
		}
	}
	slices.Sort(kinds)
	if kinds = slices.Compact(kinds); len(kinds) == 0 {
		return nil, fmt.Errorf("no licence is found in %s", c.root)
	}
	return kinds, nil
}

// agreed are the licences, by SPDX id, on whose terms a part can be linked into a binary under the Apache License and shipped,
// and what grants patents beside one.
var agreed = map[string]bool{
	"Apache-2.0": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "ISC": true, "MIT": true, "MIT-0": true, "MPL-2.0": true,
	"GooglePatentsFile": true,
}

// engine asks the engine for the licences of all that is linked into it. Its package has no text of its own: it declares a
// licence, whose text the engine's own list holds.
func engine(ctx context.Context, index io.Writer, out, library, manifest string) (err error) {
	var declared struct{ Name, Version, License string }
	data, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &declared); err != nil {
		return fmt.Errorf("%s: %w", manifest, err)
	}
	if declared.License != "Apache-2.0" {
		return fmt.Errorf("%s declares the licence %q, and nobody has agreed to that yet", manifest, declared.License)
	}
	dir, err := os.MkdirTemp("", "lapse-licenses-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	e, err := chdb.Open(ctx, chdb.Options{Dir: filepath.Join(dir, "engine"), Library: library})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()

	const query = `SELECT library_name AS name, license_type AS type, license_path AS path, license_text AS text FROM system.licenses ORDER BY path, name FORMAT JSONEachRow`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/", strings.NewReader(query))
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: e}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("system.licenses: %s", res.Status)
	}
	fmt.Fprintf(index, "\n## The engine, libchdb.so\n\nlibchdb (%s %s) and the ClickHouse in it are under %s. Linked into them, as the engine itself lists it:\n\n",
		declared.Name, declared.Version, declared.License)
	apache, libraries := "", 0
	users := map[string][]string{} // of a text
	var texts []string
	for d := json.NewDecoder(res.Body); ; libraries++ {
		var l struct{ Name, Type, Path, Text string }
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("system.licenses: %w", err)
		}
		if strings.TrimSpace(l.Text) == "" {
			return fmt.Errorf("system.licenses: %s has no text", l.Name)
		}
		if strings.HasSuffix(l.Path, "/list-licenses/Apache-2.0.txt") {
			apache = l.Text
		}
		fmt.Fprintf(index, "- %s: %s\n", l.Name, l.Type)
		if users[l.Text] == nil {
			texts = append(texts, l.Text)
		}
		users[l.Text] = append(users[l.Text], fmt.Sprintf("%s (%s, %s)", l.Name, l.Type, strings.TrimPrefix(l.Path, "/")))
	}
	if libraries < 100 || apache == "" {
		return fmt.Errorf("it lists the licences of %d libraries only, or not its own", libraries)
	}
	var all strings.Builder
	for _, t := range texts {
		fmt.Fprintf(&all, "%s\n\n%s\n\n%s\n\n", strings.Join(users[t], "\n"), strings.TrimSpace(t), strings.Repeat("=", 80))
	}
	return errors.Join(write(filepath.Join(out, "libchdb", "LICENSE"), []byte(apache)), write(filepath.Join(out, "libchdb", "THIRD-PARTY.txt"), []byte(all.String())))
}

func write(name string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o644)
}
