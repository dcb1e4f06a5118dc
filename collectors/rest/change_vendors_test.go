package rest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect/collecttest"
)

// seen is a change with the requests by which another client looks.
func (c *cloud) seen(ch access.Change, headers map[string]string, requests ...string) collecttest.Changing {
	return collecttest.Changing{Change: ch, What: ch.Entitlement + ch.SKU, Witness: c.ask(headers, requests...)}
}

func authorized(value string) map[string]string { return map[string]string{"Authorization": value} }

// https://developer.okta.com/docs/api/openapi/okta-management/management/tag/User/ and UserLifecycle, UserSessions, Group,
// Application, ApplicationUsers.
func okta(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("SSWS", secretText))
	const at = "acme.okta.com/api/v1"
	status, sessions := "ACTIVE", 2
	groups, apps := map[string]bool{"00g1": true, "00g2": true}, map[string]bool{"0oa1": true}
	c.on("GET "+at+"/users/{id}", func(r *http.Request, _ doc) (int, any) {
		if r.PathValue("id") != "00u1" {
			return 404, doc{"errorCode": "E0000007", "errorSummary": "Not found: Resource not found: x (User)"}
		}
		return 200, doc{"id": "00u1", "status": status, "created": "2020-08-27T18:19:47.000Z", "lastLogin": nil, "statusChanged": nil, "passwordChanged": nil,
			"profile": doc{"firstName": "Ada", "lastName": "Byron", "login": "ada@acme.example", "email": "ada@acme.example"}, "credentials": doc{"provider": doc{"type": "OKTA", "name": "OKTA"}}}
	})
	for verb, states := range map[string][2]string{"suspend": {"ACTIVE", "SUSPENDED"}, "unsuspend": {"SUSPENDED", "ACTIVE"}} {
		c.on("POST "+at+"/users/{id}/lifecycle/"+verb, func(*http.Request, doc) (int, any) {
			if status != states[0] {
				return 400, doc{"errorCode": "E0000001", "errorSummary": "Api validation failed: Cannot " + verb + " a user that is not " + states[0]}
			}
			status = states[1]
			return 200, doc{}
		})
	}
	c.on("DELETE "+at+"/users/{id}/sessions", func(r *http.Request, _ doc) (int, any) {
		if r.URL.Query().Get("oauthTokens") != "true" {
			return 400, doc{}
		}
		sessions = 0
		return 204, nil
	})
	c.on("GET "+at+"/sessions-of-the-test", func(*http.Request, doc) (int, any) { return 200, sessions })
	c.on("GET "+at+"/users/{id}/roles", func(*http.Request, doc) (int, any) {
		return 200, []doc{{"id": "ra1", "label": "Help Desk Administrator", "type": "HELP_DESK_ADMIN", "status": "ACTIVE", "created": "2020-08-27T18:19:47.000Z"}}
	})
	c.on("GET "+at+"/users/{id}/groups", func(*http.Request, doc) (int, any) {
		out := []doc{}
		for _, id := range slices.Sorted(maps.Keys(groups)) {
			out = append(out, doc{"id": id, "type": "OKTA_GROUP", "profile": doc{"name": "Group " + id}})
		}
		return 200, out
	})
	c.on("DELETE "+at+"/groups/{group}/users/{id}", func(r *http.Request, _ doc) (int, any) {
		delete(groups, r.PathValue("group"))
		return 204, nil
	})
	c.on("PUT "+at+"/groups/{group}/users/{id}", func(r *http.Request, _ doc) (int, any) {
		groups[r.PathValue("group")] = true
		return 204, nil
	})
	c.on("GET "+at+"/apps", func(r *http.Request, _ doc) (int, any) {
		if q := r.URL.Query(); q.Get("filter") != `user.id eq "00u1"` || q.Get("expand") != "user/00u1" {
			return 400, doc{}
		}
		out := []doc{{"id": "0oa2", "label": "Mail", "name": "mail", "status": "ACTIVE", "_embedded": doc{"user": doc{"id": "00u1", "scope": "GROUP"}}}}
		for id := range apps {
			out = append(out, doc{"id": id, "label": "Wiki", "name": "wiki", "status": "ACTIVE", "_embedded": doc{"user": doc{"id": "00u1", "scope": "USER", "created": "2024-01-01T00:00:00.000Z"}}})
		}
		return 200, out
	})
	c.on("DELETE "+at+"/apps/{app}/users/{id}", func(r *http.Request, _ doc) (int, any) {
		if !apps[r.PathValue("app")] {
			return missing()
		}
		delete(apps, r.PathValue("app"))
		return 204, nil
	})
	c.on("POST "+at+"/apps/{app}/users", func(r *http.Request, body doc) (int, any) {
		if body["id"] != "00u1" || body["scope"] != "USER" {
			return 400, doc{}
		}
		apps[r.PathValue("app")] = true
		return 200, body
	})
	h, u := authorized("SSWS "+secretText), user("00u1")
	base := "GET https://" + at
	inApps := base + "/apps?filter=user.id+eq+%2200u1%22&expand=user%2F00u1"
	return c, c.changer(t, "recipe: okta\nurl: https://acme.okta.com\nauth: {token: env:READ}\nwrite: {auth: {token: env:WRITE}}"), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionDisable, Object: u}, h, base+"/users/00u1"),
		c.seen(access.Change{Action: access.ActionEndSessions, Object: u}, h, base+"/sessions-of-the-test"),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "00g1"}, h, base+"/users/00u1/groups", inApps),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "0oa1"}, h, base+"/users/00u1/groups", inApps),
	}, user("00u9")
}

// https://learn.microsoft.com/en-us/graph/api/user-get, user-update, user-revokesigninsessions, user-list-memberof,
// user-assignlicense, group-delete-members, group-post-members, directoryrole-delete-member, directoryrole-post-members.
func entra(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("Bearer", "issued-t0ken"))
	c.token("POST login.microsoftonline.com/acme.example/oauth2/v2.0/token")
	const at = "graph.microsoft.com/v1.0"
	enabled, sessions := true, "2026-01-01T00:00:00Z"
	in := map[string]bool{"u-1 g-1": true, "u-1 r-1": true, "g-1 g-2": true}
	licenses := []doc{{"skuId": "sku-1", "disabledPlans": []string{"p-1", "p-2"}}, {"skuId": "sku-2", "disabledPlans": []string{}}}
	gone := func() (int, any) {
		return 404, doc{"error": doc{"code": "Request_ResourceNotFound", "message": "Resource 'x' does not exist"}}
	}
	c.on("GET "+at+"/reports/authenticationMethods/userRegistrationDetails/{id}", func(r *http.Request, _ doc) (int, any) {
		return 200, doc{"id": r.PathValue("id"), "isMfaRegistered": true, "isAdmin": false}
	})
	c.on("GET "+at+"/users/{id}", func(r *http.Request, _ doc) (int, any) {
		if r.PathValue("id") != "u-1" {
			return gone()
		}
		return 200, doc{"id": "u-1", "userPrincipalName": "ada@acme.example", "accountEnabled": enabled, "userType": "Member", "signInSessionsValidFromDateTime": sessions, "assignedLicenses": licenses}
	})
	c.on("PATCH "+at+"/users/{id}", func(_ *http.Request, body doc) (int, any) {
		enabled = body["accountEnabled"].(bool)
		return 204, nil
	})
	c.on("POST "+at+"/users/{id}/revokeSignInSessions", func(*http.Request, doc) (int, any) {
		sessions = "2026-11-25T00:00:00Z"
		return 200, doc{"value": true}
	})
	memberOf := func(r *http.Request, _ doc) (int, any) {
		list := []doc{{"@odata.type": "#microsoft.graph.administrativeUnit", "id": "au-1", "displayName": "Unit"}}
		for _, pair := range slices.Sorted(maps.Keys(in)) {
			member, of, _ := strings.Cut(pair, " ")
			kind := "group"
			if of[0] == 'r' {
				kind = "directoryRole"
			}
			if member == r.PathValue("id") {
				list = append(list, doc{"@odata.type": "#microsoft.graph." + kind, "id": of, "displayName": of})
			}
		}
		return 200, doc{"value": list}
	}
	c.on("GET "+at+"/users/{id}/memberOf", memberOf)
	c.on("GET "+at+"/groups/{id}/memberOf", memberOf)
	c.on("GET "+at+"/groups/{id}", func(r *http.Request, _ doc) (int, any) {
		if r.PathValue("id") != "g-1" {
			return gone()
		}
		return 200, doc{"id": "g-1", "displayName": "Team", "groupTypes": []string{}}
	})
	for _, kind := range []string{"groups", "directoryRoles"} {
		c.on("DELETE "+at+"/"+kind+"/{of}/members/{id}/$ref", func(r *http.Request, _ doc) (int, any) {
			key := r.PathValue("id") + " " + r.PathValue("of")
			if !in[key] {
				return gone()
			}
			delete(in, key)
			return 204, nil
		})
		c.on("POST "+at+"/"+kind+"/{of}/members/$ref", func(r *http.Request, body doc) (int, any) {
			id, ok := strings.CutPrefix(body["@odata.id"].(string), "https://graph.microsoft.com/v1.0/directoryObjects/")
			if !ok {
				return 400, doc{}
			}
			in[id+" "+r.PathValue("of")] = true
			return 204, nil
		})
	}
	c.on("POST "+at+"/users/{id}/assignLicense", func(_ *http.Request, body doc) (int, any) {
		for _, sku := range body["removeLicenses"].([]any) {
			licenses = slices.DeleteFunc(slices.Clone(licenses), func(l doc) bool { return l["skuId"] == sku })
		}
		for _, l := range body["addLicenses"].([]any) {
			licenses = append(licenses, l.(doc))
		}
		slices.SortFunc(licenses, func(a, b doc) int { return strings.Compare(fmt.Sprint(a["skuId"]), fmt.Sprint(b["skuId"])) })
		return 200, doc{"id": "u-1"}
	})
	h, u := authorized("Bearer issued-t0ken"), user("u-1")
	look := []string{"GET https://" + at + "/users/u-1", "GET https://" + at + "/users/u-1/memberOf", "GET https://" + at + "/groups/g-1/memberOf"}
	return c, c.changer(t, "recipe: entra\nparams: {tenant: acme.example}\nauth: {client_id: reader, client_secret: env:READ}\nwrite: {auth: {client_id: writer, client_secret: env:WRITE}}"), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionDisable, Object: u}, h, look...),
		c.seen(access.Change{Action: access.ActionEndSessions, Object: u}, h, look...),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "g-1"}, h, look...),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "r-1"}, h, look...),
		c.seen(access.Change{Action: access.ActionRevoke, Object: group("g-1"), Entitlement: "g-2"}, h, look...),
		c.seen(access.Change{Action: access.ActionReclaim, Object: u, SKU: "sku-1"}, h, look...),
	}, user("u-9")
}

// https://developers.google.com/workspace/admin/directory/reference/rest/v1/users, groups, members, roleAssignments, tokens;
// https://developers.google.com/workspace/admin/licensing/reference/rest/v1/licenseAssignments;
// https://developers.google.com/workspace/admin/data-transfer/v1/transfer-data.
func google(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("Bearer", "issued-t0ken"))
	c.token("POST oauth2.googleapis.com/token")
	const at = "admin.googleapis.com/admin/directory/v1"
	const licensing = "licensing.googleapis.com/apps/licensing/v1/product/{product}"
	suspended, tokens := false, []string{"app-1", "app-2"}
	cookies := 1
	members := map[string]doc{"g1": {"id": "101", "role": "MANAGER", "delivery_settings": "NONE"}, "g2": {"id": "101", "role": "MEMBER", "delivery_settings": "ALL_MAIL"}}
	assignments := map[string]doc{"a1": {"roleAssignmentId": "a1", "roleId": "r1", "assignedTo": "101", "assigneeType": "user", "scopeType": "ORG_UNIT", "orgUnitId": "ou1"}}
	seats := map[string]string{"ada@acme.example": "1010020020"}
	var transfer doc
	c.on("GET "+at+"/users/{id}", func(r *http.Request, _ doc) (int, any) {
		if r.PathValue("id") != "101" {
			return missing()
		}
		return 200, doc{"id": "101", "primaryEmail": "Ada@acme.example", "name": doc{"fullName": "Ada Byron"}, "suspended": suspended, "archived": false, "isAdmin": false, "isDelegatedAdmin": true, "isEnrolledIn2Sv": true}
	})
	c.on("PATCH "+at+"/users/{id}", func(_ *http.Request, body doc) (int, any) {
		suspended = body["suspended"].(bool)
		return 200, doc{"id": "101"}
	})
	c.on("POST "+at+"/users/{id}/signOut", func(*http.Request, doc) (int, any) { cookies = 0; return 204, nil })
	c.on("GET "+at+"/users/{id}/tokens", func(*http.Request, doc) (int, any) {
		list := []doc{}
		for _, id := range tokens {
			list = append(list, doc{"clientId": id, "userKey": "101"})
		}
		return 200, doc{"items": list}
	})
	c.on("DELETE "+at+"/users/{id}/tokens/{token}", func(r *http.Request, _ doc) (int, any) {
		tokens = slices.DeleteFunc(tokens, func(id string) bool { return id == r.PathValue("token") })
		return 204, nil
	})
	c.on("GET admin.googleapis.com/cookies-of-the-test", func(*http.Request, doc) (int, any) { return 200, cookies })
	c.on("GET "+at+"/groups", func(r *http.Request, _ doc) (int, any) {
		var list []doc
		for _, id := range slices.Sorted(maps.Keys(members)) {
			if r.URL.Query().Get("userKey") == members[id]["id"] {
				list = append(list, doc{"id": id, "email": id + "@acme.example"})
			}
		}
		if list == nil {
			return 200, doc{"kind": "admin#directory#groups"}
		}
		return 200, doc{"groups": list}
	})
	c.on("GET "+at+"/groups/{group}/members/{id}", func(r *http.Request, _ doc) (int, any) {
		if m, ok := members[r.PathValue("group")]; ok {
			return 200, m
		}
		return missing()
	})
	c.on("DELETE "+at+"/groups/{group}/members/{id}", func(r *http.Request, _ doc) (int, any) {
		delete(members, r.PathValue("group"))
		return 204, nil
	})
	c.on("POST "+at+"/groups/{group}/members", func(r *http.Request, body doc) (int, any) {
		members[r.PathValue("group")] = body
		return 200, body
	})
	const roles = "admin.googleapis.com/admin/directory/v1/customer/my_customer/roleassignments"
	c.on("GET "+roles, func(*http.Request, doc) (int, any) {
		return 200, doc{"items": slices.Collect(maps.Values(assignments))}
	})
	c.on("DELETE "+roles+"/{id}", func(r *http.Request, _ doc) (int, any) { delete(assignments, r.PathValue("id")); return 204, nil })
	c.on("POST "+roles, func(_ *http.Request, body doc) (int, any) {
		body["roleAssignmentId"], body["assigneeType"] = "a1", "user"
		assignments["a1"] = body
		return 200, body
	})
	c.on("GET "+licensing+"/users", func(r *http.Request, _ doc) (int, any) {
		list := []doc{{"userId": "bo@acme.example", "productId": "Google-Apps", "skuId": "1010020020", "skuName": "Plus"}}
		for email, sku := range seats {
			list = append(list, doc{"userId": email, "productId": r.PathValue("product"), "skuId": sku, "skuName": "Plus"})
		}
		return 200, doc{"items": list}
	})
	c.on("DELETE "+licensing+"/sku/{sku}/user/{user}", func(r *http.Request, _ doc) (int, any) {
		if seats[r.PathValue("user")] != r.PathValue("sku") {
			return missing()
		}
		delete(seats, r.PathValue("user"))
		return 200, doc{}
	})
	c.on("POST "+licensing+"/sku/{sku}/user", func(r *http.Request, body doc) (int, any) {
		seats[body["userId"].(string)] = r.PathValue("sku")
		return 200, body
	})
	const transfers = "admin.googleapis.com/admin/datatransfer/v1"
	c.on("GET "+transfers+"/applications", func(*http.Request, doc) (int, any) {
		return 200, doc{"applications": []doc{{"id": "435070579839", "name": "Calendar"}, {"id": "55656082996", "name": "Drive and Docs"}}}
	})
	c.on("POST "+transfers+"/transfers", func(_ *http.Request, body doc) (int, any) {
		transfer = body
		return 200, doc{"id": "t1", "overallTransferStatusCode": "inProgress"}
	})
	c.on("GET "+transfers+"/transfers", func(*http.Request, doc) (int, any) { return 200, doc{"dataTransfers": []doc{transfer}} })
	h, u, base := authorized("Bearer issued-t0ken"), user("101"), "GET https://"+at
	look := []string{base + "/users/101", base + "/groups?userKey=101", base + "/groups/g1/members/101", "GET https://" + roles, "GET https://licensing.googleapis.com/apps/licensing/v1/product/Google-Apps/users"}
	return c, c.changer(t, "recipe: google\nparams: {domain: acme.example, products: [Google-Apps]}\nauth: {key: env:GOOGLE_KEY, subject: reader@acme.example}\nwrite: {auth: {key: env:GOOGLE_KEY, subject: writer@acme.example}}"), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionHandover, Object: u, To: "102"}, h, "GET https://"+transfers+"/transfers"),
		c.seen(access.Change{Action: access.ActionEndSessions, Object: u}, h, base+"/users/101/tokens", "GET https://admin.googleapis.com/cookies-of-the-test"),
		c.seen(access.Change{Action: access.ActionDisable, Object: u}, h, look...),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "g1"}, h, look...),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "role:r1"}, h, look...),
		c.seen(access.Change{Action: access.ActionReclaim, Object: u, SKU: "1010020020"}, h, look...),
	}, user("109")
}

// https://docs.github.com/en/rest/users/users (by ID), rest/orgs/members (memberships), rest/copilot/copilot-user-management.
func github(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("Bearer", secretText))
	const at = "api.github.com"
	member, seat := true, true
	ada := doc{"login": "ada", "id": 1, "type": "User", "site_admin": false}
	c.on("GET "+at+"/user/{id}", func(r *http.Request, _ doc) (int, any) {
		if r.PathValue("id") != "1" {
			return 404, doc{"message": "Not Found"}
		}
		return 200, ada
	})
	c.on("GET "+at+"/orgs/acme/members", func(*http.Request, doc) (int, any) { return 200, []doc{} })
	c.on("GET "+at+"/orgs/acme/memberships/{login}", func(r *http.Request, _ doc) (int, any) {
		if r.PathValue("login") != "ada" || !member {
			return 404, doc{"message": "Not Found"}
		}
		return 200, doc{"state": "active", "role": "member", "user": ada}
	})
	c.on("DELETE "+at+"/orgs/acme/memberships/{login}", func(*http.Request, doc) (int, any) { member = false; return 204, nil })
	c.on("GET "+at+"/orgs/acme/members/{login}/copilot", func(*http.Request, doc) (int, any) {
		pending := any(nil)
		if !seat {
			pending = "2026-12-01"
		}
		return 200, doc{"assignee": ada, "created_at": "2026-01-01T00:00:00Z", "pending_cancellation_date": pending, "last_activity_at": nil, "plan_type": "business"}
	})
	selected := func(want bool, key string) func(*http.Request, doc) (int, any) {
		return func(_ *http.Request, body doc) (int, any) {
			if fmt.Sprint(body["selected_usernames"]) != "[ada]" {
				return 422, doc{"message": "Validation Failed"}
			}
			seat = want
			return 200, doc{key: 1}
		}
	}
	c.on("DELETE "+at+"/orgs/acme/copilot/billing/selected_users", selected(false, "seats_cancelled"))
	c.on("POST "+at+"/orgs/acme/copilot/billing/selected_users", selected(true, "seats_created"))
	h := authorized("Bearer " + secretText)
	return c, c.changer(t, "recipe: github\nparams: {org: acme}\nauth: {token: env:READ}\nwrite: {auth: {token: env:WRITE}, delete: true}"), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionReclaim, Object: user("1"), SKU: "copilot-business"}, h, "GET https://api.github.com/orgs/acme/members/ada/copilot"),
		c.seen(access.Change{Action: access.ActionDelete, Object: user("1")}, h, "GET https://api.github.com/orgs/acme/memberships/ada"),
	}, user("9")
}

// https://docs.slack.dev/reference/methods/users.info, team.billableInfo; https://docs.slack.dev/reference/scim-api.
func slack(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("Bearer", secretText))
	deleted := false
	c.on("GET slack.com/api/users.info", func(r *http.Request, _ doc) (int, any) {
		if r.URL.Query().Get("user") != "U1" {
			return 200, doc{"ok": false, "error": "user_not_found"}
		}
		return 200, doc{"ok": true, "user": doc{"id": "U1", "name": "ada", "deleted": deleted, "is_bot": false, "profile": doc{"email": "ada@acme.example"}}}
	})
	c.on("GET slack.com/api/team.billableInfo", func(*http.Request, doc) (int, any) {
		return 200, doc{"ok": true, "billable_info": doc{"U1": doc{"billing_active": !deleted}}}
	})
	c.on("PATCH api.slack.com/scim/v2/Users/{id}", func(_ *http.Request, body doc) (int, any) {
		op := body["Operations"].([]any)[0].(doc)
		if op["op"] != "replace" || op["path"] != "active" {
			return 400, doc{"Errors": doc{"description": "invalid", "code": 400}}
		}
		deleted = op["value"] == false
		return 200, doc{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "id": "U1", "active": !deleted}
	})
	return c, c.changer(t, "recipe: slack\nauth: {token: env:READ}\nwrite: {auth: {token: env:WRITE}}"), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionDisable, Object: user("U1")}, authorized("Bearer "+secretText), "GET https://slack.com/api/users.info?user=U1", "GET https://slack.com/api/team.billableInfo?user=U1"),
	}, user("U9")
}

// https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/,
// https://developer.atlassian.com/cloud/admin/user-management/rest/api-group-lifecycle/.
func atlassian(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("Bearer", secretText))
	status := "active"
	c.on("GET api.atlassian.com/admin/v2/orgs/org-1/directories/-/users", func(r *http.Request, _ doc) (int, any) {
		list := []doc{}
		if r.URL.Query().Get("accountIds") == "a1" {
			list = append(list, doc{"accountId": "a1", "accountType": "atlassian", "accountStatus": status, "membershipStatus": "active", "claimStatus": "managed", "name": "Ada", "email": "ada@acme.example"})
		}
		return 200, doc{"data": list, "links": doc{"next": nil}}
	})
	c.on("POST api.atlassian.com/users/{id}/manage/lifecycle/disable", func(_ *http.Request, body doc) (int, any) {
		if body["message"] != "Plan 7, ask Bo" {
			return 400, doc{"errors": []doc{{"message": "no message"}}}
		}
		status = "inactive"
		return 204, nil
	})
	c.on("POST api.atlassian.com/users/{id}/manage/lifecycle/enable", func(*http.Request, doc) (int, any) { status = "active"; return 204, nil })
	return c, c.changer(t, "recipe: atlassian\nparams: {org: org-1}\nauth: {token: env:READ}\nwrite: {auth: {token: env:WRITE}}"), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionDisable, Object: user("a1"), Note: "Plan 7, ask Bo"}, authorized("Bearer "+secretText), "GET https://api.atlassian.com/admin/v2/orgs/org-1/directories/-/users?accountIds=a1"),
	}, user("a9")
}

// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/ (query, sobjects), and the objects User, UserLogin
// and PermissionSetAssignment of the object reference.
func salesforce(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("Bearer", secretText))
	const at = "acme.my.salesforce.com/services/data/v62.0"
	active, frozen := true, false
	assigned := map[string]doc{"0Pa1": {"Id": "0Pa1", "AssigneeId": "0051", "PermissionSetId": "0PS1", "ExpirationDate": "2027-01-01T00:00:00.000+0000"}}
	records := func(list ...doc) (int, any) {
		if list == nil {
			list = []doc{}
		}
		return 200, doc{"totalSize": len(list), "done": true, "records": list}
	}
	c.on("GET "+at+"/query", func(r *http.Request, _ doc) (int, any) {
		q := r.URL.Query().Get("q")
		switch mine := strings.Contains(q, "'0051'"); {
		case strings.Count(q, "'") != 2:
			return 400, []doc{{"errorCode": "MALFORMED_QUERY", "message": q}}
		case !mine:
			return records()
		case strings.Contains(q, "FROM UserLogin WHERE IsFrozen = true"):
			if frozen {
				return records(doc{"UserId": "0051"})
			}
			return records()
		case strings.Contains(q, "FROM UserLogin"):
			return records(doc{"Id": "0Yw1"})
		case strings.Contains(q, "FROM User "):
			return records(doc{"Id": "0051", "Username": "ada@acme.example", "IsActive": active, "UserType": "Standard", "ProfileId": "00e1",
				"Profile": doc{"PermissionsModifyAllData": false, "UserLicense": doc{"LicenseDefinitionKey": "SFDC", "Name": "Salesforce"}}})
		default:
			return records(slices.Collect(maps.Values(assigned))...)
		}
	})
	c.on("PATCH "+at+"/sobjects/User/{id}", func(_ *http.Request, body doc) (int, any) { active = body["IsActive"].(bool); return 204, nil })
	c.on("PATCH "+at+"/sobjects/UserLogin/{id}", func(_ *http.Request, body doc) (int, any) {
		frozen = body["IsFrozen"].(bool)
		return 204, nil
	})
	c.on("DELETE "+at+"/sobjects/PermissionSetAssignment/{id}", func(r *http.Request, _ doc) (int, any) {
		delete(assigned, r.PathValue("id"))
		return 204, nil
	})
	c.on("POST "+at+"/sobjects/PermissionSetAssignment", func(_ *http.Request, body doc) (int, any) {
		body["Id"] = "0Pa1"
		assigned["0Pa1"] = body
		return 201, doc{"id": "0Pa1", "success": true, "errors": []string{}}
	})
	h, u := authorized("Bearer "+secretText), user("0051")
	look := []string{"GET https://" + at + "/query?q=SELECT+Id+FROM+User+WHERE+Id+%3D+'0051'", "GET https://" + at + "/query?q=SELECT+Id+FROM+PermissionSetAssignment+WHERE+AssigneeId+%3D+'0051'",
		"GET https://" + at + "/query?q=SELECT+UserId+FROM+UserLogin+WHERE+IsFrozen+%3D+true+AND+UserId+%3D+'0051'"}
	section := "recipe: salesforce\nurl: https://acme.my.salesforce.com\nauth: {type: bearer, token: env:READ}\nwrite: {auth: {type: bearer, token: env:WRITE}}"
	t.Run("freeze", func(t *testing.T) {
		collecttest.Changes(t, "salesforce, by freezing", c.changer(t, section+"\nparams: {disable: freeze}"), []collecttest.Changing{c.seen(access.Change{Action: access.ActionDisable, Object: u}, h, look...)})
	})
	return c, c.changer(t, section), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionDisable, Object: u}, h, look...),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "0PS1"}, h, look...),
	}, user("0059' OR Id != '")
}

// https://developers.zoom.us/docs/api/users/: user, userUpdate, userStatus.
func zoom(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, bearer("Bearer", "issued-t0ken"))
	c.token("POST zoom.us/oauth/token")
	status, kind := "active", 2.0
	c.on("GET api.zoom.us/v2/users/{id}", func(r *http.Request, _ doc) (int, any) {
		if r.PathValue("id") != "z1" {
			return 404, doc{"code": 1001, "message": "User does not exist: x."}
		}
		return 200, doc{"id": "z1", "first_name": "Ada", "last_name": "Byron", "email": "ada@acme.example", "type": kind, "role_id": "2", "status": status}
	})
	c.on("PUT api.zoom.us/v2/users/{id}/status", func(_ *http.Request, body doc) (int, any) {
		status = map[string]string{"deactivate": "inactive", "activate": "active"}[body["action"].(string)]
		return 204, nil
	})
	c.on("PATCH api.zoom.us/v2/users/{id}", func(_ *http.Request, body doc) (int, any) { kind = body["type"].(float64); return 204, nil })
	h, look := authorized("Bearer issued-t0ken"), "GET https://api.zoom.us/v2/users/z1"
	return c, c.changer(t, "recipe: zoom\nparams: {account_id: acc-1}\nauth: {client_id: reader, client_secret: env:READ}\nwrite: {auth: {client_id: writer, client_secret: env:WRITE}}"), []collecttest.Changing{
		c.seen(access.Change{Action: access.ActionDisable, Object: user("z1")}, h, look),
		c.seen(access.Change{Action: access.ActionReclaim, Object: user("z1"), SKU: "zoom-licensed"}, h, look),
	}, user("z9")
}

// https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/ and
// https://docs.aws.amazon.com/singlesignon/latest/APIReference/: the operations that the recipe names.
func awsCenter(t *testing.T) (*cloud, *Changer, []collecttest.Changing, access.Object) {
	c := newCloud(t, func(r *http.Request) bool {
		return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIAWRITER/") || r.Header.Get("Authorization") == "witness"
	})
	const set = "arn:aws:sso:::permissionSet/ssoins-1/ps-1"
	memberships := map[string]string{"g-1": "m-1"}
	assigned := map[string]bool{"USER u-1 111122223333": true, "GROUP g-1 111122223333": true}
	asked := 0
	notFound := func() (int, any) {
		return 400, doc{"__type": "com.amazonaws.identitystore#ResourceNotFoundException", "Message": "USER not found."}
	}
	key := func(b doc) string { return fmt.Sprint(b["PrincipalType"], " ", b["PrincipalId"], " ", b["TargetId"]) }
	operations := map[string]func(doc) (int, any){
		"DescribeUser": func(b doc) (int, any) {
			if b["UserId"] != "u-1" {
				return notFound()
			}
			return 200, doc{"UserId": "u-1", "UserName": "ada", "DisplayName": "Ada", "IdentityStoreId": b["IdentityStoreId"]}
		},
		"DescribeGroup": func(doc) (int, any) { return 200, doc{"GroupId": "g-1", "DisplayName": "Team"} },
		"ListGroupMembershipsForMember": func(doc) (int, any) {
			list := []doc{}
			for g, m := range memberships {
				list = append(list, doc{"GroupId": g, "MembershipId": m, "MemberId": doc{"UserId": "u-1"}})
			}
			return 200, doc{"GroupMemberships": list}
		},
		"DeleteGroupMembership": func(b doc) (int, any) {
			maps.DeleteFunc(memberships, func(_, m string) bool { return m == b["MembershipId"] })
			return 200, doc{}
		},
		"CreateGroupMembership": func(b doc) (int, any) {
			if b["MemberId"].(doc)["UserId"] != "u-1" {
				return notFound()
			}
			memberships[b["GroupId"].(string)] = "m-1"
			return 200, doc{"MembershipId": "m-1"}
		},
		"ListAccountAssignmentsForPrincipal": func(b doc) (int, any) {
			list := []doc{}
			for _, k := range slices.Sorted(maps.Keys(assigned)) {
				f := strings.Fields(k)
				if f[1] == b["PrincipalId"] || f[1] == "g-1" && len(memberships) > 0 {
					list = append(list, doc{"AccountId": f[2], "PermissionSetArn": set, "PrincipalId": f[1], "PrincipalType": f[0]})
				}
			}
			return 200, doc{"AccountAssignments": list}
		},
		"DeleteAccountAssignment": func(b doc) (int, any) {
			if b["PermissionSetArn"] != set {
				return notFound()
			}
			delete(assigned, key(b))
			return 200, doc{"AccountAssignmentDeletionStatus": doc{"Status": "IN_PROGRESS", "RequestId": "req-1"}}
		},
		"CreateAccountAssignment": func(b doc) (int, any) {
			assigned[key(b)] = true
			return 200, doc{"AccountAssignmentCreationStatus": doc{"Status": "IN_PROGRESS", "RequestId": "req-1"}}
		},
	}
	for _, verb := range []string{"Creation", "Deletion"} {
		operations["DescribeAccountAssignment"+verb+"Status"] = func(b doc) (int, any) {
			if b["AccountAssignment"+verb+"RequestId"] != "req-1" {
				return notFound()
			}
			status := "IN_PROGRESS"
			if asked++; asked%3 == 0 {
				status = "SUCCEEDED"
			}
			return 200, doc{"AccountAssignment" + verb + "Status": doc{"Status": status, "RequestId": "req-1"}}
		}
	}
	for _, host := range []string{"identitystore", "sso"} {
		c.on("POST "+host+".eu-central-1.amazonaws.com/", func(r *http.Request, b doc) (int, any) {
			service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
			do, ok := operations[name]
			if !ok || service != map[string]string{"identitystore": "AWSIdentityStore", "sso": "SWBExternalService"}[host] {
				return 400, doc{"__type": "UnknownOperationException"}
			}
			return do(b)
		})
	}
	as := func(target string) map[string]string {
		return map[string]string{"Authorization": "witness", "X-Amz-Target": target}
	}
	u, entitlement := user("u-1"), "111122223333|"+set
	assignments := func(id string) collecttest.Changing {
		o := u
		if id == "g-1" {
			o = group(id)
		}
		return c.seen(access.Change{Action: access.ActionRevoke, Object: o, Entitlement: entitlement}, as("SWBExternalService.ListAccountAssignmentsForPrincipal"), `POST https://sso.eu-central-1.amazonaws.com/ {"PrincipalId":"`+id+`"}`)
	}
	return c, c.changer(t, "recipe: aws\nparams: {region: eu-central-1, identity_store: d-1, instance: \"arn:aws:sso:::instance/ssoins-1\"}\nauth: {client_id: AKIAREADER, client_secret: env:READ}\nwrite: {auth: {client_id: AKIAWRITER, client_secret: env:WRITE}}"), []collecttest.Changing{
		assignments("u-1"), assignments("g-1"),
		c.seen(access.Change{Action: access.ActionRevoke, Object: u, Entitlement: "g-1"}, as("AWSIdentityStore.ListGroupMembershipsForMember"), `POST https://identitystore.eu-central-1.amazonaws.com/ {"MemberId":{"UserId":"u-1"}}`),
	}, user("u-9")
}
