package tickets_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/lapse-audit/lapse/internal/notify/notifytest"
)

// system is what the fakes of both vendors keep.
type system struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	issues  []*issue
	heard   []notifytest.Delivery // what was opened or said, by the key of its message
	calls   []string
	trouble []trouble
}

type issue struct {
	id, label, summary, text string
	notes                    []string
	closed                   bool
	dropped                  bool           // closed without having been done
	how                      map[string]any // as it was closed
}

// trouble strikes the requests of a method and path, the first first.
type trouble struct {
	method, path string
	skip         int
	status       int
	after        string
	body         string
	lost         bool // it is done, and the answer is lost
}

var marked = regexp.MustCompile(`Lapse message (\S+)`)

func (s *system) say(text string) {
	if key := marked.FindStringSubmatch(text); key != nil {
		s.heard = append(s.heard, notifytest.Delivery{Key: key[1], Text: text})
	}
}

func (s *system) received(*testing.T) []notifytest.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]notifytest.Delivery(nil), s.heard...)
}

func (s *system) open(i *issue) {
	i.id = fmt.Sprintf("SEC-%d", len(s.issues)+1)
	s.issues = append(s.issues, i)
	s.say(i.text)
}

func (s *system) byID(id string) *issue {
	for _, i := range s.issues {
		if i.id == id {
			return i
		}
	}
	return nil
}

// start serves an API behind what is common: the credential, the troubles and JSON.
func (s *system) start(credential string, api func(method, path string, query map[string]string, body map[string]any) (int, any)) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, r.Method+" "+r.URL.Path)
		if r.Header.Get("Authorization") != credential {
			http.Error(w, `{"error":"`+r.Header.Get("Authorization")+`"}`, http.StatusUnauthorized)
			return
		}
		var struck *trouble
		for i := range s.trouble {
			if x := &s.trouble[i]; x.method == r.Method && strings.Contains(r.URL.Path, x.path) && (x.status != 0 || x.lost) {
				if x.skip > 0 {
					x.skip--
					continue
				}
				copied := *x
				struck, *x = &copied, trouble{}
				break
			}
		}
		if struck != nil && !struck.lost {
			w.Header().Set("Retry-After", struck.after)
			w.WriteHeader(struck.status)
			_, _ = io.WriteString(w, struck.body)
			return
		}
		var body map[string]any
		if r.Method != http.MethodGet {
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				s.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
			}
		}
		query := map[string]string{}
		for k := range r.URL.Query() {
			query[k] = r.URL.Query().Get(k)
		}
		status, out := api(r.Method, r.URL.Path, query, body)
		if struck != nil {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
		if out != nil {
			_ = json.NewEncoder(w).Encode(out)
		}
	}))
	s.t.Cleanup(srv.Close)
	s.url = srv.URL
}

type object = map[string]any

// prose is the text of a document in Atlassian's format: https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/.
func (s *system) prose(doc any) string {
	d, _ := doc.(object)
	if d["type"] != "doc" || d["version"] != 1.0 {
		s.t.Errorf("no document: %v", doc)
		return ""
	}
	var lines []string
	for _, p := range d["content"].([]any) {
		text := p.(object)["content"].([]any)[0].(object)
		if p.(object)["type"] != "paragraph" || text["type"] != "text" || text["text"] == "" {
			s.t.Errorf("no paragraph of text: %v", p)
		}
		lines = append(lines, text["text"].(string))
	}
	return strings.Join(lines, "\n")
}

// newJira answers as https://developer.atlassian.com/cloud/jira/platform/rest/v3/ says.
func newJira(t *testing.T) *system {
	s := &system{t: t}
	jql := regexp.MustCompile(`^project = "SEC" AND labels = "(lapse-[0-9a-f]{32})" AND statusCategory != Done ORDER BY created ASC$`)
	docs := map[string]any{}
	s.start("Basic Ym90QGV4YW1wbGUuY29tOm1hZGUtdXA=", func(method, path string, query map[string]string, body object) (int, any) {
		id, rest, _ := strings.Cut(strings.TrimPrefix(path, "/rest/api/3/issue/"), "/")
		i := s.byID(id)
		switch {
		case method == "POST" && path == "/rest/api/3/search/jql":
			m := jql.FindStringSubmatch(body["jql"].(string))
			if m == nil {
				s.t.Errorf("JQL: %v", body["jql"])
				return 400, nil
			}
			found := []object{}
			for _, i := range s.issues {
				if i.label == m[1] && !i.closed {
					found = append(found, object{"id": "1" + i.id, "key": i.id, "fields": object{"summary": i.summary}})
				}
			}
			return 200, object{"issues": found, "isLast": true}
		case method == "POST" && path == "/rest/api/3/issue":
			f := body["fields"].(object)
			if f["project"].(object)["key"] != "SEC" || f["issuetype"].(object)["name"] != "Task" {
				s.t.Errorf("fields: %v", f)
			}
			i := &issue{label: f["labels"].([]any)[1].(string), summary: f["summary"].(string), text: s.prose(f["description"])}
			s.open(i)
			docs[i.id] = f["description"]
			return 201, object{"id": "10000", "key": i.id, "self": s.url + "/rest/api/3/issue/10000"}
		case i == nil:
			return 404, object{"errorMessages": []string{"Issue does not exist or you do not have permission to see it."}, "errors": object{}}
		case method == "GET" && rest == "" && query["fields"] == "description,comment":
			comments := []any{}
			for _, n := range i.notes {
				comments = append(comments, object{"body": object{"type": "doc", "content": []any{object{"type": "paragraph", "content": []any{object{"type": "text", "text": n}}}}}})
			}
			return 200, object{"key": i.id, "fields": object{"description": docs[i.id], "comment": object{"comments": comments, "total": len(comments)}}}
		case method == "GET" && rest == "":
			fields := object{"status": object{"name": "x", "statusCategory": object{"key": map[bool]string{true: "done", false: "new"}[i.closed]}}, "resolution": nil}
			if i.closed {
				fields["resolution"] = object{"id": "10000", "name": map[bool]string{true: "Won't Do", false: "Done"}[i.dropped]}
			}
			return 200, object{"key": i.id, "fields": fields}
		case method == "POST" && rest == "comment":
			text := s.prose(body["body"])
			i.notes = append(i.notes, text)
			s.say(text)
			return 201, object{"id": "1"}
		case method == "GET" && rest == "transitions":
			return 200, object{"transitions": []object{{"id": "11", "name": "Start", "to": object{"statusCategory": object{"key": "indeterminate"}}}, {"id": "31", "name": "Done", "to": object{"statusCategory": object{"key": "done"}}}}}
		case method == "POST" && rest == "transitions":
			if body["transition"].(object)["id"] != "31" {
				s.t.Errorf("transition: %v", body)
			}
			i.closed, i.how = true, body
			return 204, nil
		}
		s.t.Errorf("not in Jira's API: %s %s %v", method, path, query)
		return 404, nil
	})
	return s
}

// newServiceNow answers as the Table API does: https://www.servicenow.com/docs/r/api-reference/rest-apis/c_TableAPI.html.
func newServiceNow(t *testing.T) *system {
	s := &system{t: t}
	s.start("Bearer made-up", func(method, path string, query map[string]string, body object) (int, any) {
		i := s.byID(strings.TrimPrefix(path, "/api/now/table/incident/"))
		switch {
		case method == "GET" && path == "/api/now/table/incident":
			label, ok := strings.CutPrefix(query["sysparm_query"], "correlation_id=")
			label, ok2 := strings.CutSuffix(label, "^active=true^ORDERBYsys_created_on")
			if !ok || !ok2 || query["sysparm_limit"] != "1" {
				s.t.Errorf("query: %v", query)
			}
			for _, i := range s.issues {
				if i.label == label && !i.closed {
					return 200, object{"result": []object{{"sys_id": i.id}}}
				}
			}
			return 200, object{"result": []object{}}
		case method == "POST" && path == "/api/now/table/incident":
			if body["urgency"] != "1" || body["correlation_display"] != "Lapse" || body["assignment_group"] != nil {
				s.t.Errorf("incident: %v", body)
			}
			i := &issue{label: body["correlation_id"].(string), summary: body["short_description"].(string), text: body["description"].(string)}
			s.open(i)
			return 201, object{"result": object{"sys_id": i.id, "number": "INC0010001"}}
		case method == "GET" && path == "/api/now/table/sys_journal_field":
			id, rest, _ := strings.Cut(strings.TrimPrefix(query["sysparm_query"], "element_id="), "^element=work_notes^valueLIKE")
			found := []object{}
			for _, n := range s.byID(id).notes {
				if strings.Contains(n, rest) {
					found = append(found, object{"sys_id": "n"})
				}
			}
			return 200, object{"result": found}
		case i == nil:
			return 404, object{"error": object{"message": "No Record found", "detail": "Record doesn't exist or ACL restricts the record retrieval"}, "status": "failure"}
		case method == "GET" && query["sysparm_fields"] == "description":
			return 200, object{"result": object{"description": i.text}}
		case method == "GET" && query["sysparm_fields"] == "active":
			return 200, object{"result": object{"active": fmt.Sprint(!i.closed)}}
		case method == "GET" && query["sysparm_fields"] == "state,close_code":
			switch {
			case !i.closed:
				return 200, object{"result": object{"state": "2", "close_code": ""}}
			case i.dropped:
				return 200, object{"result": object{"state": "8", "close_code": ""}}
			}
			return 200, object{"result": object{"state": "7", "close_code": "Solution provided"}}
		case method == "PATCH" && body["work_notes"] != nil:
			i.notes = append(i.notes, body["work_notes"].(string))
			s.say(body["work_notes"].(string))
			return 200, object{"result": object{"sys_id": i.id}}
		case method == "PATCH" && body["state"] == "6":
			i.closed, i.how = true, body
			return 200, object{"result": object{"sys_id": i.id}}
		}
		s.t.Errorf("not in the Table API: %s %s %v %v", method, path, query, body)
		return 404, nil
	})
	return s
}
