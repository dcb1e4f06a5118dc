package scim

import (
	"errors"
	"fmt"
	"strings"
)

// capabilities are what a server says of itself.
type capabilities struct {
	maxResults int  // the most that a page has, 0 for unknown
	noGroups   bool // it lists its types of resource, and Group is none of them

	patch, etag, filter *bool // whether it supports them; nil is unknown
}

// capabilities asks for ServiceProviderConfig and ResourceTypes (RFC 7644, 4). A server that has neither is read all the
// same; one that says it can't do what the configuration needs is not.
func (r *reading) capabilities() (capabilities, error) {
	var caps capabilities
	body, err := r.client.get(r.ctx, "ServiceProviderConfig", nil)
	r.watch.asked("ServiceProviderConfig", err)
	switch {
	case missing(err), isStatus(err, 403):
		r.note("the server has no ServiceProviderConfig: what it supports is unknown")
	case err != nil:
		return caps, err
	default:
		var m struct {
			message
			Filter struct {
				Supported  flag  `json:"supported"`
				MaxResults count `json:"maxResults"`
			} `json:"filter"`
			Pagination struct {
				Index flag `json:"index"`
			} `json:"pagination"`
			Patch struct {
				Supported flag `json:"supported"`
			} `json:"patch"`
			ETag struct {
				Supported flag `json:"supported"`
			} `json:"etag"`
		}
		if err := parse(body, &m, &m.message); err != nil {
			return caps, fmt.Errorf("GET /ServiceProviderConfig: %w", r.client.hidden(err))
		}
		caps.patch, caps.etag, caps.filter = m.Patch.Supported.value, m.ETag.Supported.value, m.Filter.Supported.value
		if n := m.Filter.MaxResults.value; n != nil {
			caps.maxResults = *n
		}
		if ok := m.Filter.Supported.value; r.config.Filter != "" && ok != nil && !*ok {
			return caps, errors.New("filter: the server's ServiceProviderConfig says that it supports no filters: take it out")
		}
		if ok := m.Pagination.Index.value; ok != nil && !*ok {
			return caps, errors.New("the server's ServiceProviderConfig says that it pages by cursor only (RFC 9865), which is not known here")
		}
	}
	body, err = r.client.get(r.ctx, "ResourceTypes", nil)
	r.watch.asked("ResourceTypes", err)
	switch {
	case missing(err), isStatus(err, 403):
		return caps, nil
	case err != nil:
		return caps, err
	}
	if p, err := parsePage(body); err == nil { // some servers give a bare list; nothing else depends on it
		caps.noGroups = len(p.items) > 0 && len(p.items) >= p.total
		for _, raw := range p.items {
			if strings.EqualFold(object(raw).find("schema").text().s, groupURN) {
				caps.noGroups = false
			}
		}
	}
	return caps, nil
}
