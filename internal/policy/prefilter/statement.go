package prefilter

import (
	"fmt"
	"slices"
	"strings"
)

// Statement gathers predicates and expressions that go into one query, and their parameters. No constant of a policy is part
// of the text: each is a parameter. What many of them test alike is part of the query once: it takes ClickHouse far longer to
// read a query of a thousand expressions than to answer it.
type Statement struct {
	parameters []Parameter
	byValue    map[string]string
	atoms      []string
	byText     map[string]string
	text       int
	values     int
}

// Parameter is {Name:Type} in the text. Value is a string, int64 or float64, or a slice of one of these.
type Parameter struct {
	Name  string
	Type  string
	Value any
}

// NewStatement returns a statement without parameters.
func NewStatement() *Statement {
	return &Statement{byValue: map[string]string{}, byText: map[string]string{}}
}

// Atoms are the tests that predicates and expressions call by name: is1 is the first.
func (s *Statement) Atoms() []string { return s.atoms }

// Atom returns the name of a test that is never NULL.
func (s *Statement) Atom(text string) string {
	if s.byText[text] == "" {
		s.atoms = append(s.atoms, text)
		s.byText[text] = fmt.Sprintf("is%d", len(s.atoms))
		s.text += len(text)
	}
	return s.byText[text]
}

// Parameters lists the parameters of all that was added.
func (s *Statement) Parameters() []Parameter { return s.parameters }

// Add writes a rule's predicate. An error says which limit it would pass; the statement is then as it was before.
func (s *Statement) Add(r *Rule) (string, error) {
	w := &writer{statement: s}
	parameters, atoms, length, values := len(s.parameters), len(s.atoms), s.text, s.values
	w.pred(r.over)
	text := w.text.String()
	err := w.err
	switch {
	case err != nil:
	case s.text+len(text) > maxText:
		err = fmt.Errorf("the predicates take more than %d KiB", maxText>>10)
	case len(s.parameters) > maxParameters:
		err = fmt.Errorf("the predicates have more than %d parameters", maxParameters)
	case s.values > maxValues:
		err = fmt.Errorf("the parameters take more than %d KiB", maxValues>>10)
	}
	if err != nil {
		for _, p := range s.parameters[parameters:] {
			delete(s.byValue, identity(p.Type, p.Value))
		}
		for _, a := range s.atoms[atoms:] {
			delete(s.byText, a)
		}
		s.parameters, s.atoms, s.text, s.values = s.parameters[:parameters], s.atoms[:atoms], length, values
		return "", err
	}
	s.text += len(text)
	return text, nil
}

// Parameter returns the text that stands for a value of a ClickHouse type.
func (s *Statement) Parameter(typ string, v any) string {
	id := identity(typ, v)
	if s.byValue[id] == "" {
		name := fmt.Sprintf("p%d", len(s.parameters)+1)
		s.byValue[id] = "{" + name + ":" + typ + "}"
		s.parameters = append(s.parameters, Parameter{name, typ, v})
		s.values += len(id)
	}
	return s.byValue[id]
}

func identity(typ string, v any) string { return fmt.Sprintf("%s %#v", typ, v) }

// writer writes one predicate; or only its shape, for which there are no parameters.
type writer struct {
	statement *Statement
	text      strings.Builder
	err       error
	within    int // so many arrays

	shape   bool
	literal int               // constants are part of the shape
	names   map[string]string // in the order of their appearance, unless nil
}

func (w *writer) add(parts ...string) {
	for _, p := range parts {
		w.text.WriteString(p)
	}
}

func (w *writer) pred(p pred) {
	switch p := p.(type) {
	case truth:
		w.add(fmt.Sprint(bool(p)))
	case and:
		w.join(p, " AND ")
	case or:
		w.join(p, " OR ")
	case not:
		w.add("NOT ")
		w.pred(p.p)
	case exists: // has to be the last thing that is computed
		w.guarded(p.array.known, func() { w.search("arrayExists", p.array, p.name, p.p) })
	case tally:
		w.guarded(p.array.known, func() { w.tally(p) })
	default:
		w.test(p)
	}
}

// test writes what is no combination: by its name, outside of arrays.
func (w *writer) test(p pred) {
	if w.shape || w.within > 0 {
		w.leaf(p)
		return
	}
	alone := &writer{statement: w.statement}
	alone.leaf(p)
	w.add(w.statement.Atom(alone.text.String()))
	if w.err == nil {
		w.err = alone.err
	}
}

func (w *writer) leaf(p pred) {
	switch p := p.(type) {
	case defined:
		w.guarded(p.x.known, func() { w.there(p.x) })
	case isTrue:
		w.checked(func() { w.add(w.column(p.x)) }, p.x)
	case oneOf:
		w.checked(func() { w.oneOf(p) }, p.x)
	case compare:
		w.checked(func() { w.add("(", w.column(p.x), " ", p.op, " ", w.constant(p.c), ")") }, p.x)
	case relate:
		w.checked(func() { w.add("(", w.column(p.x), " ", p.op, " ", w.column(p.y), ")") }, p.x, p.y)
	case text:
		w.checked(func() { w.add(fmt.Sprintf(textFunctions[p.function], w.column(p.x), w.constant(p.c))) }, p.x)
	case foreign:
		w.checked(func() { x := w.column(p.x); w.add("(length(", x, ") != lengthUTF8(", x, "))") }, p.x)
	case holds:
		w.guarded(p.x.known, func() {
			if len(p.c.values) == 1 && !w.shape {
				w.add("has(", w.column(p.x), ", ", w.constant(p.c), ")")
			} else {
				w.add("hasAny(", w.column(p.x), ", ", w.list(p.c), ")")
			}
		})
	case weigh:
		w.weigh(p)
	case filled:
		w.guarded(p.array.known, func() {
			x := p.array.length()
			x.count = false
			w.add("notEmpty(", w.column(x), ")")
		})
	default:
		panic(fmt.Sprintf("prefilter: no such predicate: %T", p))
	}
}

// changes make a text of a text, and of a constant where there are two.
var changes = map[string]string{
	"lower":       "lower(%s)",
	"upper":       "upper(%s)",
	"trim":        "trimBoth(%s, %s)",
	"trim_left":   "trimLeft(%s, %s)",
	"trim_right":  "trimRight(%s, %s)",
	"trim_prefix": "if(startsWith(%[1]s, %[2]s), substring(%[1]s, length(%[2]s) + 1), %[1]s)",
	"trim_suffix": "if(endsWith(%[1]s, %[2]s), substring(%[1]s, 1, length(%[1]s) - length(%[2]s)), %[1]s)",
}

// change writes what is made of a text. The constant is part of a shape.
func (w *writer) change(c change, text string) string {
	switch {
	case c.by == "":
		return fmt.Sprintf(changes[c.function], text)
	case w.shape:
		return fmt.Sprintf(changes[c.function], text, fmt.Sprintf("%q", c.by))
	}
	return fmt.Sprintf(changes[c.function], text, w.constant(value(c.by)))
}

// textFunctions take a text and a constant.
var textFunctions = map[string]string{
	"startswith": "startsWith(%s, %s)",
	"endswith":   "endsWith(%s, %s)",
	"contains":   "(position(%s, %s) > 0)",
	"match":      "match(%s, %s)",
}

func (w *writer) join(ps []pred, by string) {
	w.add("(")
	for i, p := range ps {
		if i > 0 {
			w.add(by)
		}
		w.pred(p)
	}
	w.add(")")
}

// guarded writes what counts only while presence columns are true.
func (w *writer) guarded(known []string, write func()) {
	if len(known) == 0 {
		write()
		return
	}
	w.add("(", strings.Join(known, " AND "), " AND ")
	write()
	w.add(")")
}

// checked writes a comparison so that it is false, not NULL, where a value is missing.
func (w *writer) checked(write func(), xs ...operand) {
	var known []string
	nullable := false
	for _, x := range xs {
		for _, k := range x.known {
			if !slices.Contains(known, k) {
				known = append(known, k)
			}
		}
		nullable = nullable || x.nullable
	}
	w.guarded(known, func() {
		for _, x := range xs {
			if x.key != nil || x.by != "" {
				w.add("mapContains(", x.column, ", ", w.key(x), ") AND ")
			}
		}
		if !nullable {
			write()
			return
		}
		w.add("ifNull(")
		write()
		w.add(", false)")
	})
}

func (w *writer) there(x operand) {
	switch {
	case x.key != nil || x.by != "":
		w.add("mapContains(", x.column, ", ", w.key(x), ")")
	case x.nullable:
		w.add("(", w.column(x), " IS NOT NULL)")
	default:
		w.add("true")
	}
}

func (w *writer) oneOf(p oneOf) {
	if len(p.c.values) == 1 && !w.shape {
		w.add("(", w.column(p.x), " = ", w.constant(p.c), ")")
		return
	}
	w.add(In(w.column(p.x), w.list(p.c), p.x.float))
}

// In says that x is one of the values of an array. IN looks floats up by their bits: -0 would not be in [0].
func In(x, list string, float bool) string {
	if float {
		return "has(" + list + ", " + x + ")"
	}
	return "(" + x + " IN " + list + ")"
}

func (w *writer) column(x operand) string {
	switch {
	case len(x.changed) > 0:
		last := x.changed[len(x.changed)-1]
		x.changed = x.changed[:len(x.changed)-1]
		return w.change(last, w.column(x))
	case x.count:
		x.count = false
		return "toInt64(length(" + w.column(x) + "))"
	case x.key != nil || x.by != "":
		return x.column + "[" + w.key(x) + "]"
	case x.element != "":
		return w.element(x.element) + "_" + x.column
	}
	return x.column
}

// element is the name of an element in the text.
func (w *writer) element(name string) string {
	if w.names == nil {
		return name
	}
	if w.names[name] == "" {
		w.names[name] = fmt.Sprintf("s%d", len(w.names))
	}
	return w.names[name]
}

// search writes a function over the columns of an array that a predicate of its elements looks at.
func (w *writer) search(function string, in array, element string, p pred) {
	name := w.element(element)
	if in.keys() || in.texts != nil {
		column, of := keyColumn, "mapKeys("+in.size+")"
		if in.texts != nil {
			column, of = textColumn, w.column(*in.texts)
		}
		w.add(function, "(", name, "_", column, " -> ")
		w.within++
		w.pred(p)
		w.within--
		w.add(", ", of, ")")
		return
	}
	var columns []string
	for _, x := range operands(p, nil) {
		if x.element == element && !slices.Contains(columns, x.column) {
			columns = append(columns, x.column)
		}
	}
	slices.Sort(columns)
	w.add(function, "((")
	for i, c := range columns {
		if i > 0 {
			w.add(", ")
		}
		w.add(name, "_", c)
	}
	w.add(") -> ")
	w.within++
	w.pred(p)
	w.within--
	w.add(", ", strings.Join(columns, ", "), ")")
}

// key writes the key of a map, which is part of a shape.
func (w *writer) key(x operand) string {
	if x.by != "" {
		return w.element(x.by) + "_" + keyColumn
	}
	if w.shape {
		return fmt.Sprintf("%q", *x.key)
	}
	return w.constant(value(*x.key))
}

// constant writes a constant of one value.
func (w *writer) constant(c *constant) string {
	if w.shape && w.literal > 0 {
		return fmt.Sprintf("%#v", c.values)
	}
	if w.shape {
		return fmt.Sprintf("?%T", c.values[0])
	}
	return w.statement.Parameter(clickHouseType(c.values[0]), c.values[0])
}

// list writes a constant as an array.
func (w *writer) list(c *constant) string {
	if w.shape && w.literal > 0 {
		return fmt.Sprintf("%#v", c.values)
	}
	if w.shape {
		return fmt.Sprintf("?%T", c.values[0])
	}
	if len(c.values) > maxElements {
		w.err = fmt.Errorf("a list of %d values is longer than %d", len(c.values), maxElements)
		return "[]"
	}
	typ := "Array(" + clickHouseType(c.values[0]) + ")"
	switch c.values[0].(type) {
	case string:
		return w.statement.Parameter(typ, sliceOf[string](c.values))
	case int64:
		return w.statement.Parameter(typ, sliceOf[int64](c.values))
	default:
		return w.statement.Parameter(typ, sliceOf[float64](c.values))
	}
}

func sliceOf[T any](values []any) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = v.(T)
	}
	return out
}

func clickHouseType(v any) string {
	switch v.(type) {
	case string:
		return "String"
	case int64:
		return "Int64"
	case float64:
		return "Float64"
	}
	panic(fmt.Sprintf("prefilter: no parameter is a %T", v))
}
