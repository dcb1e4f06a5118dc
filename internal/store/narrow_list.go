package store

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// gathered is a column that gathers what belongs to a subject, sorted, as sql/*.sql write it:
//
//	arraySort(x -> x.1, groupArray((a, b, c))) AS list
//	arraySort(x -> (x.1, x.2), arrayZip(groupArray(a), groupArray(b), groupArray(c))) AS list
//
// What is gathered is read as list.1, list.2, … and can be left out where it is not.
type gathered struct {
	name   string
	key    string // what it is sorted by
	zipped bool
	items  []string
}

var (
	listForm = regexp.MustCompile(`(?s)^arraySort\(x -> (x\.\d+|\(x\.[^)]*\)), (groupArray\(\(|arrayZip\()(.*)\)\) AS (\w+)$`)
	keyItem  = regexp.MustCompile(`\bx\.(\d+)`)
)

func parseList(p part) (l gathered, ok bool) {
	m := listForm.FindStringSubmatch(p.text)
	if m == nil {
		return gathered{}, false
	}
	l = gathered{name: m[4], key: m[1], zipped: m[2] == "arrayZip("}
	items := m[3]
	if !l.zipped {
		items = strings.TrimSuffix(items, ")")
	}
	l.items = split(items)
	return l, true
}

func (l *gathered) String() string {
	items := strings.Join(l.items, ", ")
	rows := "arrayZip(" + items + ")"
	if !l.zipped {
		rows = "groupArray(tuple(" + items + "))"
	}
	return "arraySort(x -> " + l.key + ", " + rows + ") AS " + l.name
}

// narrowList leaves out of a list that the statement calls so what it reads nothing of and what doesn't sort it. What is left is
// numbered anew.
func (s *statement) narrowList(called string, l *gathered) {
	read := regexp.MustCompile(`\b` + regexp.QuoteMeta(called) + `\.(\d+)`)
	used := make([]bool, len(l.items))
	use := func(form *regexp.Regexp, text string) {
		for _, m := range form.FindAllStringSubmatch(text, -1) {
			if n, err := strconv.Atoi(m[1]); err == nil && n <= len(used) {
				used[n-1] = true
			}
		}
	}
	use(keyItem, l.key)
	for _, i := range s.items {
		use(read, i.text)
	}
	number := make([]int, len(used))
	n := 0
	for i, u := range used {
		if u {
			n++
		}
		number[i] = n
	}
	renumber := func(form *regexp.Regexp, text, name string) string {
		return form.ReplaceAllStringFunc(text, func(m string) string {
			i, err := strconv.Atoi(m[strings.LastIndexByte(m, '.')+1:])
			if err != nil || i > len(number) {
				return m
			}
			return fmt.Sprintf("%s.%d", name, number[i-1])
		})
	}
	l.key = renumber(keyItem, l.key, "x")
	for i := range s.items {
		s.items[i].text = renumber(read, s.items[i].text, called)
	}
	i := -1
	l.items = slices.DeleteFunc(l.items, func(string) bool { i++; return !used[i] })
}
