package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Section writes what a source of a recipe needs into lapse.yaml, without the keys that all sources have: two blanks before
// each line, blank where a value has to be filled in, and the rest as comments.
func (p *Parsed) Section(recipe, uid, blank string) string {
	s := &section{blank: blank, env: strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(uid))}
	s.line("recipe: %s", recipe)
	if !p.URL.IsSet() {
		s.say(fmt.Sprintf("url: https://%s", blank), "where the app's API is")
	}
	s.params(p.Params)
	s.auth(p.Auth)
	if slices.Contains(p.Gives(), "people") {
		s.line("roster:")
		s.say("  end_date: last_day", "what the end date means: last_day, or first_day_off")
		s.say("  zone: UTC", "of the dates; zones: {Berlin: Europe/Berlin} gives those of locations")
	}
	s.say("# share: 50%", "of the app's quota, which others need too")
	if len(p.incremental()) > 0 {
		s.say("# incremental: {full_every: 7d}", "do without requests where the app says that nothing has changed")
	}
	if rights := p.Rights(); len(rights) > 0 {
		s.line("# It needs the rights: %s", strings.Join(rights, ", "))
	}
	for _, d := range p.Documents {
		s.line("# %s", d)
	}
	return s.b.String()
}

type section struct {
	b     strings.Builder
	blank string
	env   string // what names of variables begin with
}

func (s *section) line(format string, args ...any) {
	s.b.WriteString("  " + fmt.Sprintf(format, args...) + "\n")
}

// say writes a line with a comment behind it.
func (s *section) say(text, comment string) {
	s.line("%-38s # %s", text, strings.Join(strings.Fields(comment), " "))
}

// params are those that must be given, and the others as comments.
func (s *section) params(all map[string]Param) {
	must := func(name string) bool { return all[name].Default == nil && !all[name].Optional }
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		switch {
		case must(a) == must(b):
			return strings.Compare(a, b)
		case must(a):
			return -1
		}
		return 1
	})
	if len(names) == 0 {
		return
	}
	hash := ""
	if !slices.ContainsFunc(names, must) {
		hash = "# "
	}
	s.line("%sparams:", hash)
	for _, name := range names {
		p := all[name]
		switch {
		case must(name):
			s.say(fmt.Sprintf("  %s: %s", name, s.blank), p.About)
		case p.Default != nil:
			text, err := json.Marshal(p.Default)
			if err != nil { // it was read from YAML
				panic(err)
			}
			s.say(fmt.Sprintf("#   %s: %s", name, text), p.About)
		default:
			s.say(fmt.Sprintf("#   %s:", name), p.About)
		}
	}
}

// auth is the usual way to sign in, and the others as comments.
func (s *section) auth(ways []Auth) {
	for i, a := range ways {
		if a.About != "" {
			s.line("# %s: %s", a.Type, a.About)
		}
		if i > 0 {
			s.line("# auth: {type: %s, %s}", a.Type, strings.Join(s.credentials(a), ", "))
			continue
		}
		s.line("auth:")
		for _, c := range s.credentials(a) {
			s.line("  %s", c)
		}
	}
}

// credentials are what checkCredentials asks for.
func (s *section) credentials(a Auth) []string {
	secret := func(key string) string {
		return fmt.Sprintf("%s: env:%s_%s", key, s.env, strings.ToUpper(strings.TrimPrefix(key, "client_")))
	}
	plain := func(key string) string { return fmt.Sprintf("%s: %s", key, s.blank) }
	switch a.Type {
	case "basic":
		if a.Password == "" {
			return []string{plain("username"), secret("password")}
		}
	case "oauth2_client", "aws":
		return []string{plain("client_id"), secret("client_secret")}
	case "jwt_bearer":
		return []string{plain("client_id"), plain("subject"), secret("key")}
	case "google":
		return []string{plain("subject"), secret("key")}
	}
	return []string{secret("token")}
}
