package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// AddSource appends a source to the list of sources in the text of a lapse.yaml and leaves all else as it is, comments
// included. section is one element of the list, without indentation. The result is checked: it holds the sources that were
// there, and the new one.
func AddSource(file, dir string, data []byte, section string) ([]byte, error) {
	before, err := Parse(file, dir, data)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil { // Parse could
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out, err := insert(file, data, doc.Content[0], section)
	if err != nil {
		return nil, err
	}
	after, err := Parse(file, dir, out)
	if err != nil {
		return nil, fmt.Errorf("with the new source: %w", err)
	}
	if len(after.Sources) != len(before.Sources)+1 || !slices.EqualFunc(before.Sources, after.Sources[:len(before.Sources)], func(a, b Source) bool { return a.UID == b.UID }) {
		return nil, fmt.Errorf("%s: the list of sources is written in a way that can't be added to: add the section by hand", file)
	}
	return out, nil
}

// insert puts the section behind the last line of the list.
func insert(file string, data []byte, top *yaml.Node, section string) ([]byte, error) {
	lines := strings.SplitAfter(string(data), "\n")
	if last := len(lines) - 1; lines[last] != "" && !strings.HasSuffix(lines[last], "\n") {
		lines[last] += "\n"
	}
	if top.Kind != yaml.MappingNode || top.Style&yaml.FlowStyle != 0 {
		return nil, fmt.Errorf("%s: is written in braces: add the section by hand", file)
	}
	at, indent := len(lines), 2
	for i := 0; i < len(top.Content); i += 2 {
		key, list := top.Content[i], top.Content[i+1]
		if key.Value != "sources" {
			continue
		}
		switch {
		case list.Kind == yaml.ScalarNode && list.Tag == "!!null":
			at = key.Line
		case list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0:
			return nil, fmt.Errorf("%s:%d: sources: is written in brackets: add the section by hand", file, list.Line)
		default:
			indent = list.Column - 1
			if i+2 < len(top.Content) {
				at = top.Content[i+2].Line - 1
			}
			// Comments before the next key are the next key's.
			for at > key.Line && loose(lines[at-1], indent) {
				at--
			}
		}
		return splice(lines, at, "", section, indent), nil
	}
	return splice(lines, at, "\nsources:\n", section, indent), nil
}

// loose reports whether a line is blank, or a comment that stands further left than the list's elements have it.
func loose(line string, indent int) bool {
	text := strings.TrimLeft(strings.TrimRight(line, "\r\n"), " ")
	return text == "" || strings.HasPrefix(text, "#") && len(strings.TrimRight(line, "\r\n"))-len(text) <= indent
}

func splice(lines []string, at int, before, section string, indent int) []byte {
	var b bytes.Buffer
	for _, l := range lines[:at] {
		b.WriteString(l)
	}
	b.WriteString(before)
	if before == "" && at > 0 && strings.TrimSpace(lines[at-1]) != "" {
		b.WriteString("\n")
	}
	for l := range strings.Lines(section) {
		if strings.TrimSpace(l) != "" {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.WriteString(l)
	}
	for _, l := range lines[at:] {
		b.WriteString(l)
	}
	return b.Bytes()
}

// WriteSource adds a source to a file, in one step: whoever reads it sees the old one or the new one.
func WriteSource(path, section string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: no such file: write one with `lapse init`, or name it with --config", path)
	}
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return err
	}
	out, err := AddSource(path, filepath.Dir(abs), data, section)
	if err != nil {
		return err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(abs), ".lapse-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(out)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), abs)
}
