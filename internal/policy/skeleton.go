package policy

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/lapse-audit/lapse/internal/access"
)

//go:embed skeleton/*.rego
var skeletons embed.FS

// Skeleton is a policy to begin with.
type Skeleton struct {
	ID      string // ACME-01
	Subject access.SubjectKind
	Title   string // "" for one that asks to be replaced
	Dir     string // the folder of policies
}

var notWord = regexp.MustCompile(`[^a-z0-9]+`)

// Write makes a folder for the policy, area/slug below Dir, with a rule and tests that pass, and returns it. The area is
// what the id begins with; the slug is made of the title. It overwrites nothing.
func (s Skeleton) Write() (string, error) {
	if !idForm.MatchString(s.ID) {
		return "", fmt.Errorf("id %q is not of the form ACME-01: write capitals, a dash and a number", s.ID)
	}
	area, number, _ := strings.Cut(s.ID, "-")
	area = strings.ToLower(area)
	slug := strings.Trim(notWord.ReplaceAllString(strings.ToLower(s.Title), "_"), "_")
	if slug == "" || slug[0] >= '0' && slug[0] <= '9' {
		slug = "rule_" + number
		if s.Title != "" {
			slug += "_" + strings.Trim(notWord.ReplaceAllString(strings.ToLower(s.Title), "_"), "_")
		}
	}
	if s.Title == "" {
		s.Title = "Say in a few words what is wrong"
	}
	if strings.ContainsAny(s.Title, "\n\r") {
		return "", errors.New("a title has one line")
	}
	dir := filepath.Join(s.Dir, area, slug)
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("%s is there already: give the new policy another --title, or edit that one", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	data := map[string]string{"ID": s.ID, "Title": yamlText(s.Title), "Package": "lapse." + area + "." + slug, "Data": "data.lapse." + area + "." + slug, "Name": slug}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for from, to := range map[string]string{"": "policy.rego", "_test": "policy_test.rego"} {
		text, err := s.fill(string(s.Subject)+from+".rego", data)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, to), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (s Skeleton) fill(name string, data map[string]string) (string, error) {
	text, err := skeletons.ReadFile("skeleton/" + name)
	if err != nil {
		return "", fmt.Errorf("there is no policy of subject %q to begin with", s.Subject)
	}
	t, err := template.New(name).Parse(string(text))
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	return formatted(name, b.String()) // imports are sorted by name
}

// yamlText quotes a text where YAML would read it as something else.
func yamlText(s string) string {
	if regexp.MustCompile(`^[A-Za-z][^:#]*$`).MatchString(s) && !regexp.MustCompile(`(?i)^(true|false|yes|no|null|on|off)$`).MatchString(s) {
		return s
	}
	return fmt.Sprintf("%q", s)
}
