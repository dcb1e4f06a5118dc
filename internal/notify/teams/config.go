// Package teams asks people by Microsoft Teams: an Adaptive Card to a workflow's webhook, whose buttons are links that bring the
// answers back.
package teams

import (
	"errors"

	"github.com/lapse-audit/lapse/internal/collect"
)

// Config is the section notify.teams of lapse.yaml. The addresses are secrets: whoever has one can write to where it leads.
type Config struct {
	// URL is of the workflow "Send webhook alerts to a channel" of the security team's channel. Its members can answer for it.
	URL collect.Secret `yaml:"url"`
	// Channels are the same of other roles, such as app_owner:CRM.
	Channels map[string]collect.Secret `yaml:"channels"`
	// People is of a workflow that posts the card as a chat with whom a request names: triggerBody()?['to']. Without it people
	// are not reached, for their items are not a channel's to see.
	People collect.Secret `yaml:"people"`
}

// Validate reports everything that is missing or makes no sense.
func (c *Config) Validate() error {
	if !c.URL.IsSet() && !c.People.IsSet() && len(c.Channels) == 0 {
		return errors.New("url is missing: the address of the security team's workflow, such as env:TEAMS_URL")
	}
	return nil
}
