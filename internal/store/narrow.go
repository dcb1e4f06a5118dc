package store

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// narrow is a statement of sql/*.sql without what gives none of the wanted columns: [INSERT INTO … (columns)] [WITH …] SELECT …
// FROM …. Of the columns it keeps the wanted ones, of WITH and the LEFT ANY JOINs those whose name is used by what is kept, that of
// a join before a dot: a LEFT ANY JOIN leaves the number of rows as it is. What is kept of the joins is narrowed likewise, and so
// are the lists that they gather (see gathered). A column of an INSERT that is left out has its table's default.
func narrow(text string, wanted func(column string) bool) (string, error) {
	s, err := parseStatement(text)
	if err != nil {
		return "", err
	}
	if err := s.narrow(wanted); err != nil {
		return "", err
	}
	return s.String(), nil
}

func (s *statement) narrow(wanted func(column string) bool) error {
	s.items = slices.DeleteFunc(s.items, func(i part) bool { return !wanted(i.name) })
	if len(s.items) == 0 {
		return fmt.Errorf("none of its columns is wanted")
	}
	s.keepUsed()
	for i := range s.joins {
		s.narrowJoin(&s.joins[i])
	}
	if sub, ok := strings.CutPrefix(s.from, "("); ok && strings.HasSuffix(s.from, ")") {
		if inner, err := narrowInner(strings.TrimSuffix(sub, ")"), s.mentionedBeside(nil)); err == nil {
			s.from = "(" + inner + ")"
		}
	}
	s.keepUsed() // what is narrower may use less
	return nil
}

// keepUsed keeps what the columns use, and what that uses.
func (s *statement) keepUsed() {
	used := map[string]bool{} // "x." for what is before a dot
	use := func(text string) {
		for w := range words(text) {
			used[w] = true
		}
		for _, m := range beforeDot.FindAllString(text, -1) {
			used[m] = true
		}
	}
	for _, i := range s.items {
		use(i.text)
	}
	use(s.from)
	use(s.tail)
	with, joins := make([]bool, len(s.with)), make([]bool, len(s.joins))
	for again := true; again; {
		again = false
		for i, w := range s.with {
			if !with[i] && used[w.name] {
				with[i], again = true, true
				use(w.text)
			}
		}
		for i, j := range s.joins {
			if !joins[i] && (j.inner || used[j.name+"."]) {
				joins[i], again = true, true
				use(j.text)
			}
		}
	}
	s.with, s.joins = keep(s.with, with), keep(s.joins, joins)
}

// narrowJoin leaves out of what is joined what the rest of the statement doesn't mention. A query that is none of those that
// narrow reads stays as it is.
func (s *statement) narrowJoin(j *part) {
	begin := strings.IndexByte(j.text, '(')
	if begin != len("LEFT ANY JOIN ") || j.inner {
		return
	}
	end := begin + closing(j.text[begin:])
	query, rest := j.text[begin+1:end-1], j.text[end:]
	inner, err := parseInner(query)
	if err != nil {
		return
	}
	mentioned := s.mentionedBeside(j)
	if err := inner.narrow(func(c string) bool { return mentioned(c) || mentions(rest, c) }); err != nil {
		return
	}
	for i := range inner.items {
		if l, ok := parseList(inner.items[i]); ok {
			s.narrowList(j.name+"."+l.name, &l)
			inner.items[i].text = l.String()
		}
	}
	// Once more, for what only went into the lists.
	if err := inner.narrow(func(string) bool { return true }); err != nil {
		return
	}
	j.text = j.text[:begin+1] + inner.String() + ")" + rest
}

// mentionedBeside tells what the statement mentions, but for one of its joins.
func (s *statement) mentionedBeside(j *part) func(name string) bool {
	texts := []string{s.tail}
	if j != nil {
		texts = append(texts, s.from)
	}
	for _, all := range [][]part{s.with, s.items, s.joins} {
		for i := range all {
			if &all[i] != j {
				texts = append(texts, all[i].text)
			}
		}
	}
	return func(name string) bool { return someMention(texts, name) }
}

func narrowInner(query string, wanted func(column string) bool) (string, error) {
	inner, err := parseInner(query)
	if err != nil {
		return "", err
	}
	if err := inner.narrow(wanted); err != nil {
		return "", err
	}
	return inner.String(), nil
}

// parseInner takes only queries all of whose columns have names, and whose number of rows doesn't hang on these.
func parseInner(query string) (s statement, err error) {
	if s, err = parseStatement(query); err != nil {
		return s, err
	}
	for _, i := range s.items {
		if i.name == "" || mentions(i.text, "DISTINCT") || mentions(i.text, "arrayJoin") {
			return s, fmt.Errorf("its columns can't be told apart: %s", i.text)
		}
	}
	return s, nil
}

func (s *statement) String() string {
	var b strings.Builder
	if s.insert != "" {
		b.WriteString(s.insert + " (" + strings.Join(namesOf(s.items), ", ") + ")\n")
	}
	for i, w := range s.with {
		b.WriteString([]string{"WITH ", ", "}[min(i, 1)] + w.text + "\n")
	}
	for i, item := range s.items {
		b.WriteString([]string{"SELECT ", ", "}[min(i, 1)] + item.text + "\n")
	}
	b.WriteString("FROM " + s.from + "\n")
	for _, j := range s.joins {
		b.WriteString(j.text + "\n")
	}
	b.WriteString(s.tail)
	return b.String()
}

var beforeDot = regexp.MustCompile(`\b[a-z]\w*\.`)

// statement is a statement in parts.
type statement struct {
	insert string // INSERT INTO and the table; "" for a SELECT alone
	with   []part
	items  []part // by the column that each gives
	from   string
	joins  []part
	tail   string // WHERE, GROUP BY, ORDER BY and LIMIT
}

type part struct {
	name, text string
	inner      bool // of a join: not a LEFT ANY JOIN
}

// clauses begin what a SELECT is made of.
var clauses = []string{"WITH", "SELECT", "FROM", "LEFT ANY JOIN", "INNER JOIN", "WHERE", "GROUP BY", "ORDER BY", "LIMIT"}

func parseStatement(text string) (s statement, err error) {
	var columns []string
	rest := withoutComments(text)
	if after, ok := strings.CutPrefix(strings.TrimSpace(rest), "INSERT INTO "); ok {
		table, list, _ := strings.Cut(after, "(")
		list, query, ok := strings.Cut(list, ")")
		if !ok {
			return s, fmt.Errorf("INSERT without columns")
		}
		s.insert, rest = "INSERT INTO "+strings.TrimSpace(table), query
		for c := range strings.SplitSeq(list, ",") {
			columns = append(columns, strings.TrimSpace(c))
		}
	}
	for _, c := range clausesOf(rest) {
		switch c.name {
		case "WITH":
			for _, item := range split(c.text) {
				name := alias(item)
				if name == "" || strings.HasSuffix(name, ")") { // name AS (SELECT …)
					name, _, _ = strings.Cut(item, " ")
				}
				s.with = append(s.with, part{name: name, text: item})
			}
		case "SELECT":
			if s.items != nil {
				return s, fmt.Errorf("it has more than one SELECT")
			}
			for i, item := range split(c.text) {
				name := alias(item)
				if columns != nil {
					if i >= len(columns) {
						return s, fmt.Errorf("it selects more than it inserts: %s", item)
					}
					name = columns[i]
				}
				s.items = append(s.items, part{name: name, text: item})
			}
		case "FROM":
			s.from = c.text
		case "LEFT ANY JOIN", "INNER JOIN":
			table, _, _ := strings.Cut(c.text, " ON ")
			if strings.HasPrefix(c.text, "(") {
				end := closing(c.text)
				table, _, _ = strings.Cut(c.text[end:], " ON ")
				table = "x" + table
			}
			s.joins = append(s.joins, part{name: alias(strings.Join(strings.Fields(table), " ")), text: c.name + " " + c.text, inner: c.name != "LEFT ANY JOIN"})
		default:
			s.tail += c.name + " " + c.text + "\n"
		}
	}
	if s.from == "" || len(s.items) == 0 || columns != nil && len(columns) != len(s.items) {
		return s, fmt.Errorf("it is not one SELECT of as many columns as are inserted")
	}
	return s, nil
}

// clausesOf cuts a SELECT at the clauses that lie outside of brackets and texts.
func clausesOf(text string) (out []part) {
	begin := -1
	outside(text, func(i int) int {
		if i > 0 && word(text[i-1]) {
			return 1
		}
		for _, c := range clauses {
			after, ok := strings.CutPrefix(text[i:], c)
			if !ok || after != "" && word(after[0]) {
				continue
			}
			if begin >= 0 {
				out[len(out)-1].text = strings.TrimSpace(text[begin:i])
			}
			out = append(out, part{name: c})
			begin = i + len(c)
			return len(c)
		}
		return 1
	})
	if begin >= 0 {
		out[len(out)-1].text = strings.TrimSpace(text[begin:])
	}
	return out
}

// split cuts a list at its commas.
func split(text string) (out []string) {
	begin := 0
	outside(text, func(i int) int {
		if text[i] == ',' {
			out = append(out, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
		return 1
	})
	return append(out, strings.TrimSpace(text[begin:]))
}

// closing is where the bracket that a text begins with ends.
func closing(text string) int {
	end := len(text)
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\'':
			i += strings.IndexByte(text[i+1:], '\'') + 1
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return end
}

// outside calls f for the places of a text that are in no brackets and no quotes; f says how far to go on.
func outside(text string, f func(i int) int) {
	depth := 0
	for i := 0; i < len(text); {
		step := 1
		switch c := text[i]; {
		case c == '\'':
			step = strings.IndexByte(text[i+1:], '\'') + 2
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case depth == 0:
			step = f(i)
		}
		i += max(step, 1)
	}
}

// alias is the last name of an expression: after AS, or of the column that it is.
func alias(text string) string {
	i := strings.LastIndexFunc(text, func(c rune) bool { return c >= 0x80 || !word(byte(c)) })
	return text[i+1:]
}

func word(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// words are the names that a text mentions.
func words(text string) func(func(string) bool) {
	return strings.FieldsFuncSeq(text, func(c rune) bool { return c >= 0x80 || !word(byte(c)) })
}

func mentions(text, name string) bool {
	for w := range words(text) {
		if w == name {
			return true
		}
	}
	return false
}

func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func namesOf(parts []part) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.name
	}
	return out
}

func keep(parts []part, which []bool) []part {
	i := -1
	return slices.DeleteFunc(slices.Clone(parts), func(part) bool { i++; return !which[i] })
}
