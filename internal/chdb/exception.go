package chdb

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

var (
	exceptionPrefix = regexp.MustCompile(`^Code: (\d+)\. (DB::\w+): `)
	exceptionName   = regexp.MustCompile(`\(([A-Z][A-Z0-9_]+)\)`)
)

// parseException turns the library's text, "Code: 60. DB::Exception: … (UNKNOWN_TABLE)", into the driver's typed error.
// Text of another shape keeps its words under code 0.
func parseException(text string) *clickhouse.Exception {
	e := &clickhouse.Exception{Name: "DB::Exception", Message: text}
	for { // each layer of the library that passes it on puts the prefix in front again
		m := exceptionPrefix.FindStringSubmatch(e.Message)
		if m == nil {
			break
		}
		if e.Code == 0 {
			code, err := strconv.ParseInt(m[1], 10, 32)
			if err != nil {
				break
			}
			e.Code, e.Name = int32(code), m[2]
		}
		e.Message = e.Message[len(m[0]):]
	}
	if all := exceptionName.FindAllStringSubmatch(e.Message, -1); all != nil {
		e.CodeName = all[len(all)-1][1]
	}
	return e
}

// exceptionText is what the HTTP interface sends, and what the driver's parser reads.
func exceptionText(e *clickhouse.Exception) string {
	if e.Code == 0 {
		return e.Message
	}
	text := fmt.Sprintf("Code: %d. %s: %s", e.Code, e.Name, e.Message)
	if e.CodeName != "" && !strings.Contains(e.Message, "("+e.CodeName+")") {
		text += " (" + e.CodeName + ")"
	}
	return text
}

// maxFramed keeps an exception within the 16 KiB that ClickHouse's framing allows.
const maxFramed = 12 << 10

// exceptionFrame is how the HTTP interface reports an exception within a result that has begun.
// https://clickhouse.com/docs/interfaces/http#http_response_codes_caveats
func exceptionFrame(e *clickhouse.Exception, tag string) string {
	text := exceptionText(e)
	if len(text) > maxFramed {
		text = text[:maxFramed]
	}
	return fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", tag, text, len(text)+1, tag)
}
