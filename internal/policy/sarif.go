package policy

import (
	"encoding/json"
	"io"
)

// WriteSARIF writes problems in the format that code hosts show beside the lines of a pull request: SARIF 2.1.0
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/). version is the program's.
func WriteSARIF(w io.Writer, version string, problems []Problem) error {
	type text struct {
		Text string `json:"text"`
	}
	type rule struct {
		ID               string `json:"id"`
		ShortDescription text   `json:"shortDescription"`
	}
	type region struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	type artifact struct {
		URI string `json:"uri"`
	}
	type physical struct {
		Artifact artifact `json:"artifactLocation"`
		Region   *region  `json:"region,omitempty"`
	}
	type place struct {
		Physical physical `json:"physicalLocation"`
	}
	type result struct {
		RuleID    string  `json:"ruleId"`
		Level     Level   `json:"level"`
		Message   text    `json:"message"`
		Locations []place `json:"locations"`
	}
	rules, seen := []rule{}, map[string]bool{}
	results := []result{}
	for _, p := range problems {
		if !seen[p.Check] {
			seen[p.Check] = true
			about := Checks[p.Check]
			if about == "" {
				about = "what keeps a policy from being loaded"
			}
			rules = append(rules, rule{p.Check, text{about}})
		}
		at := physical{Artifact: artifact{p.File}}
		if p.Line > 0 {
			at.Region = &region{p.Line, p.Column}
		}
		results = append(results, result{p.Check, p.Level, text{p.Message + ". Write instead: " + p.Instead}, []place{{at}}})
	}
	log := map[string]any{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []any{map[string]any{
			"tool":    map[string]any{"driver": map[string]any{"name": "lapse policy check", "version": version, "rules": rules}},
			"results": results,
		}},
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(log)
}
