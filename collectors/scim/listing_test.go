package scim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func start(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("startIndex"))
	if err != nil {
		return 1
	}
	return n
}

// onUsers answers requests for users.
func onUsers(do func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path != "/v2/Users" {
			return false
		}
		do(w, r)
		return true
	}
}

// However a server pages, all come, once, and the reading ends.
func TestPagesEnd(t *testing.T) {
	all := people(60)
	want := make([]string, 60)
	for i := range want {
		want[i] = fmt.Sprint("u", i+1)
	}
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
	}{
		{"as the RFC wants it", nil},
		{"the first page again past the end", func(w http.ResponseWriter, r *http.Request) {
			if start(r) > 60 {
				fmt.Fprint(w, listOf(60, all[:20]))
				return
			}
			fmt.Fprint(w, list(all, r, 20))
		}},
		{"400 past the end", func(w http.ResponseWriter, r *http.Request) {
			if start(r) > 60 {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			fmt.Fprint(w, list(all, r, 20))
		}},
		{"a total of 0 past the end", func(w http.ResponseWriter, r *http.Request) {
			if start(r) > 60 {
				fmt.Fprint(w, listOf(0, nil))
				return
			}
			fmt.Fprint(w, list(all, r, 20))
		}},
		{"all at once, always", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, listOf(60, all)) }},
		{"pages of all lengths", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, list(all, r, 1+start(r)%7))
		}},
		{"more than was asked for", func(w http.ResponseWriter, r *http.Request) {
			from := min(start(r)-1, 60)
			fmt.Fprint(w, listOf(60, all[from:]))
		}},
		{"totals as texts", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, strings.Replace(list(all, r, 20), `"totalResults":60`, `"totalResults":"60"`, 1))
		}},
	} {
		for _, concurrency := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s, %d at a time", c.name, concurrency), func(t *testing.T) {
				f := &fake{users: all}
				if c.answer != nil {
					f.answer = onUsers(c.answer)
				}
				out, _, err := gather(t, f.start(t), fmt.Sprintf("page_size: 15\nconcurrency: %d", concurrency))
				if err != nil {
					t.Fatal(err)
				}
				same(t, ids(out), strings.Join(want, " "))
				if n := len(f.requests); n > 40 {
					t.Errorf("%d requests for 60 users", n)
				}
			})
		}
	}
}

// A list that changes while it is read is read again, and nothing is lost.
func TestListChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(all []string) []string // after the second page
		want   int
		passes string
	}{
		{"one appended", func(all []string) []string { return append(all, person(99)) }, 61, ""},
		{"one deleted in front", func(all []string) []string { return all[1:] }, 60, "read 2 times"},
		{"one put in front", func(all []string) []string { return append([]string{person(99)}, all...) }, 61, "read 2 times"},
		{"the last deleted", func(all []string) []string { return all[:59] }, 59, "read 2 times"},
		{"a page deleted", func(all []string) []string { return all[20:] }, 60, "read 2 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, n := people(60), 0
			f := &fake{answer: onUsers(func(w http.ResponseWriter, r *http.Request) {
				if n++; n == 3 {
					all = c.change(slices.Clone(all))
				}
				fmt.Fprint(w, list(all, r, 20))
			})}
			out, prov, err := gather(t, f.start(t), "")
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Fields(ids(out))
			if slices.Sort(got); len(got) != c.want || len(slices.Compact(got)) != c.want {
				t.Errorf("%d accounts, want %d", len(got), c.want)
			}
			if notes := strings.Join(prov.Notes, "\n"); c.passes == "" && strings.Contains(notes, "times") || !strings.Contains(notes, c.passes) {
				t.Errorf("notes %q, want %q", notes, c.passes)
			}
		})
	}
}

// What can't be the whole is an error.
func TestNotTheWhole(t *testing.T) {
	all := people(60)
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		{"startIndex ignored", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, listOf(60, all[:20])) },
			"/Users: the first page came again for startIndex 21: the server doesn't keep to startIndex and count (RFC 7644, 3.4.2.4), and 20 of 60 resources came"},
		{"a lost page", func(w http.ResponseWriter, r *http.Request) {
			if start(r) == 21 {
				fmt.Fprint(w, listOf(60, nil))
				return
			}
			fmt.Fprint(w, list(all, r, 20))
		}, "/Users: nothing came for startIndex 21, and totalResults is 60: a page is lost"},
		{"a total too high", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, strings.Replace(list(all, r, 20), `"totalResults":60`, `"totalResults":61`, 1))
		}, "/Users: nothing came for startIndex 61, and totalResults is 61: a page is lost"},
		{"a total too low", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, strings.Replace(list(all, r, 20), `"totalResults":60`, `"totalResults":50`, 1))
		}, "/Users: totalResults is 50, and 60 resources came: nobody can tell if those are all"},
		{"a total of the page", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, strings.Replace(list(all, r, 20), `"totalResults":60`, `"totalResults":20`, 1))
		}, "/Users: totalResults is 20, and 40 resources came: nobody can tell if those are all"},
		{"a total and nothing", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"totalResults":5}`) },
			"/Users: nothing came for startIndex 1, and totalResults is 5: a page is lost"},
		{"no total", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"Resources":[%s]}`, all[0]) },
			"GET /Users?count=100&startIndex=1: has no totalResults: it is no list of SCIM 2.0 (RFC 7644, 3.4.2)"},
		{"a total that is none", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"totalResults":-1}`) },
			"GET /Users?count=100&startIndex=1: totalResults is no number"},
		{"no end", func(w http.ResponseWriter, r *http.Request) {
			n := start(r)
			fmt.Fprint(w, listOf(n+100, people(n + 99)[n-1:]))
		}, "/Users: totalResults grows while it is read, and is 1301 by now: that has no end"},
		{"one of two pages twice", func(w http.ResponseWriter, r *http.Request) {
			if start(r) == 41 {
				fmt.Fprint(w, listOf(60, all[20:40]))
				return
			}
			fmt.Fprint(w, list(all, r, 20))
		}, "/Users: changed each of the 3 times it was read: the page at startIndex 41 holds what was in earlier ones: read it when less happens there; if it happens always, the server gives one id to two resources or has no fixed order"},
		{"ids that change type", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, listOf(2, []string{`{"id":"1","userName":"a"}`, `{"id":2,"userName":"b"}`}))
		}, "/Users number 2: its id is a number, and those before are not: an id must stay what it is"},
		{"HTML", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "\n <!doctype html><title>Sign in</title>")
		},
			"GET /Users?count=100&startIndex=1: the answer is HTML, no SCIM: is url: the base of the SCIM service, and not a page to sign in?"},
		{"an error with status 200", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"429","detail":"slow\ndown","totalResults":0}`)
		}, "GET /Users?count=100&startIndex=1: the answer is an error in spite of its status: 429 slow down"},
		{"another error with status 200", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"ok":false,"error":"not_authed"}`) },
			"GET /Users?count=100&startIndex=1: the answer is an error in spite of its status: not_authed"},
		{"truncated JSON", func(w http.ResponseWriter, r *http.Request) { s := list(all, r, 20); fmt.Fprint(w, s[:len(s)/2]) },
			"GET /Users?count=100&startIndex=1: the answer was cut off: its JSON ends in the middle"},
		{"no JSON", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"totalResults":1,}`) },
			"GET /Users?count=100&startIndex=1: the answer is no JSON: invalid character '}' looking for beginning of object key string at byte 19"},
		{"nothing", func(w http.ResponseWriter, r *http.Request) {}, "GET /Users?count=100&startIndex=1: the answer is empty"},
		{"a bare list", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `[]`) },
			"GET /Users?count=100&startIndex=1: the answer is no JSON object: is url: the base of a service of SCIM 2.0?"},
		{"resources that are none", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"totalResults":1,"Resources":"x"}`) },
			"GET /Users?count=100&startIndex=1: its Resources are no list"},
		{"a page without end", func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}, "GET /Users?count=100&startIndex=1: the answer is too long: it has more than 33554432 bytes (max_page): set page_size to less"},
		{"403", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) },
			"GET /Users?count=100&startIndex=1: the server answers 403 Forbidden: the credentials lack the right to read this"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{answer: onUsers(c.answer)}
			for _, section := range []string{"", "concurrency: 3"} {
				out, _, err := gather(t, f.start(t), section)
				if err == nil || err.Error() != c.want {
					t.Errorf("%d accounts, error\n%v\nwant\n%s", len(strings.Fields(ids(out))), err, c.want)
				}
			}
		})
	}
}

// Two resources of one page with one id are for the runner to report.
func TestOneIDTwice(t *testing.T) {
	f := &fake{users: []string{person(1), person(2), person(1)}}
	out, _, err := gather(t, f.start(t), "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, ids(out), "u1 u2 u1")
}

// Numbers are welcome as ids if all are.
func TestNumbersAsIDs(t *testing.T) {
	f := &fake{users: []string{`{"id":1,"userName":"a"}`, `{"id":20,"userName":"b"}`}, groups: []string{`{"id":7,"displayName":"G","members":[{"value":1},{"value":"20"}]}`}}
	out, _, err := gather(t, f.start(t), "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, ids(out), "1 20")
	if len(out.records) != 5 {
		t.Errorf("%d records", len(out.records))
	}
}
