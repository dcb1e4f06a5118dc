package store

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// narrow is a statement of sql/*.sql without what gives none of the wanted columns: [INSERT INTO … (columns)] [WITH …] SELECT …
// FROM …. Of the columns it keeps the wanted ones, of WITH and the LEFT ANY JOINs those whose name is used by what is kept, that of
// a join before a dot: a LEFT ANY JOIN leaves the number of rows as it is. A column of an INSERT that is left out has its table's default.
func narrow(text string, wanted func(column string) bool) (string, error) {
	s, err := parseStatement(text)
	if err != nil {
		return "", err
	}
	var items []part
	for _, i := range s.items {
		if wanted(i.name) {
			items = append(items, i)
		}
	}
	if len(items) == 0 {
		return "", fmt.Errorf("none of its columns is wanted")
	}
	used := map[string]bool{} // "x." for what is before a dot
	use := func(text string) {
		for w := range words(text) {
			used[w] = true
		}
		for _, m := range beforeDot.FindAllString(text, -1) {
			used[m] = true
		}
	}
	for _, i := range items {
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
	var b strings.Builder
	if s.insert != "" {
		b.WriteString(s.insert + " (" + strings.Join(namesOf(items), ", ") + ")\n")
	}
	for i, w := range keep(s.with, with) {
		b.WriteString([]string{"WITH ", ", "}[min(i, 1)] + w.text + "\n")
	}
	for i, item := range items {
		b.WriteString([]string{"SELECT ", ", "}[min(i, 1)] + item.text + "\n")
	}
	b.WriteString("FROM " + s.from + "\n")
	for i, j := range s.joins {
		if joins[i] {
			b.WriteString(j.text + "\n")
		}
	}
	b.WriteString(s.tail)
	return b.String(), nil
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
