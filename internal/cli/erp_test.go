package cli_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/lapse-audit/lapse/internal/access"
)

// erp is a system with no API but a command: erp ACCOUNTS.csv LOG. Its accounts are in a file of id, username, employee_id,
// enabled, kind. It notes every change in the log.
func erp() {
	accounts, journal := os.Args[1], os.Args[2]
	var q struct {
		Op     string        `json:"op"`
		Object access.Object `json:"object"`
		Change struct {
			Action access.Action `json:"action"`
			Object access.Object `json:"object"`
			Undo   bool          `json:"undo"`
		} `json:"change"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		log.Fatal(err)
	}
	if q.Op == "may" || q.Op == "native" {
		os.Exit(205) // the op is not known
	}
	f, err := os.Open(accounts)
	if err != nil {
		log.Fatal(err)
	}
	rows, err := csv.NewReader(f).ReadAll()
	f.Close()
	if err != nil {
		log.Fatal(err)
	}
	id := q.Object.ID
	if q.Op == "apply" {
		id = q.Change.Object.ID
	}
	for _, row := range rows[1:] {
		if row[0] != id {
			continue
		}
		if q.Op == "look" {
			fmt.Printf(`{"live": {"account": {"id": %q, "username": %q, "employee_id": %q, "enabled": %v}}}`, row[0], row[1], row[2], row[3] == "yes")
			return
		}
		row[3] = map[bool]string{true: "yes", false: "no"}[q.Change.Undo]
		store(accounts, rows)
		l, err := os.OpenFile(journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(l, "%s %s undo %v\n", q.Change.Action, id, q.Change.Undo)
		l.Close()
		fmt.Print("{}")
		return
	}
	os.Exit(200) // there is no such account
}

// store writes a table in one step: whoever kills the process leaves the old one or the new one.
func store(path string, rows [][]string) {
	f, err := os.CreateTemp(".", "erp-")
	if err != nil {
		log.Fatal(err)
	}
	w := csv.NewWriter(f)
	if err := w.WriteAll(rows); err != nil {
		log.Fatal(err)
	}
	f.Close()
	if err := os.Rename(f.Name(), path); err != nil {
		log.Fatal(err)
	}
}
