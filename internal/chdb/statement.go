package chdb

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// statement is what a request asks for.
type statement struct {
	sql      string
	format   string
	database string
	params   map[string]string
	settings []string  // "name = 'value'"
	data     io.Reader // what an INSERT inserts; nil if the text has it all
}

var (
	// notSettings are the URL's keys that are not settings. Ignored ones change nothing that a caller could miss.
	notSettings = []string{"query", "database", "default_format", "client_protocol_version", "query_id", "quota_key", "wait_end_of_query"}
	// notSupported would change the meaning of the request if they were ignored.
	notSupported = []string{"session_id", "compress", "decompress"}

	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
	firstWord   = regexp.MustCompile(`^(?:[\s(]|--[^\n]*\n|/\*(?s:.*?)\*/)*([A-Za-z]+)`)
	lastFormat  = regexp.MustCompile(`(?i)\sFORMAT\s+(\w+)\s*;?\s*$`)
	tagSetting  = regexp.MustCompile("(?i)\\blog_comment\\b[`\"]?\\s*=")
)

func parse(req *http.Request) (*statement, error) {
	values, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("read the request's URL: %w", err)
	}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/") {
		return nil, refuse(48, "NOT_IMPLEMENTED", "external tables are not supported by the embedded store")
	}
	if req.Header.Get("Content-Encoding") != "" {
		return nil, refuse(48, "NOT_IMPLEMENTED", "compression is not supported by the embedded store")
	}

	st := &statement{database: values.Get("database"), format: values.Get("default_format"), params: map[string]string{}}
	if st.format == "" {
		st.format = "Native"
	}
	for name, v := range values {
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam:
			st.params[param] = v[0]
		case slices.Contains(notSettings, name):
		case slices.Contains(notSupported, name):
			return nil, refuse(48, "NOT_IMPLEMENTED", name+" is not supported by the embedded store")
		case name == "log_comment":
			return nil, refuseTag()
		case !settingName.MatchString(name):
			return nil, refuse(115, "UNKNOWN_SETTING", fmt.Sprintf("unknown setting %q", name))
		default:
			st.settings = append(st.settings, name+" = "+quoteText(v[0]))
		}
	}
	slices.Sort(st.settings)

	st.sql = values.Get("query")
	if m := lastFormat.FindStringSubmatchIndex(st.sql); m != nil && st.verb() == "INSERT" {
		st.format, st.sql = st.sql[m[2]:m[3]], st.sql[:m[0]]
		st.data = req.Body
	} else {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, fmt.Errorf("read the statement: %w", err)
		}
		st.sql = strings.TrimPrefix(st.sql+"\n"+string(text), "\n")
	}
	if tagSetting.MatchString(st.sql) {
		return nil, refuseTag()
	}
	return st, nil
}

func (st *statement) verb() string {
	if m := firstWord.FindStringSubmatch(st.sql); m != nil {
		return strings.ToUpper(m[1])
	}
	return ""
}

// streams tells whether the result comes in pieces that can be joined. In formats other than Native each piece would
// be a file of its own.
func (st *statement) streams() bool {
	verb := st.verb()
	return st.data == nil && st.format == "Native" && (verb == "SELECT" || verb == "WITH") && !lastFormat.MatchString(st.sql)
}

// notStreamable recognises the library's refusal of a statement that it runs only as a whole, such as WITH … INSERT.
func notStreamable(err error) bool {
	return strings.Contains(err.Error(), "Streaming query is not supported")
}

func quoteName(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}

func quoteText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func refuse(code int32, name, message string) *clickhouse.Exception {
	return &clickhouse.Exception{Code: code, Name: "DB::Exception", CodeName: name, Message: message}
}

func refuseTag() *clickhouse.Exception {
	return refuse(452, "SETTING_CONSTRAINT_VIOLATION", "log_comment is taken: the embedded store finds a statement by it to cancel it")
}
