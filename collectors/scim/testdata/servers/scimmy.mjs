// SCIMMY's routers on Express 4 with resources in memory. It listens on a free port of the loopback interface, prints its
// base URL, and ends when its input does. The token is in the environment.
import crypto from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const token = process.env.SCIM_TOKEN;

function keep(type) {
	const kept = new Map();
	const find = (id) => {
		if (!kept.has(id)) throw new SCIMMY.Types.Error(404, null, `${id} is not here`);
		return kept.get(id);
	};
	SCIMMY.Resources.declare(type)
		.ingress((resource, data) => {
			const id = resource.id ?? crypto.randomUUID();
			const now = new Date().toISOString();
			const created = kept.get(id)?.meta.created ?? now;
			kept.set(id, { ...JSON.parse(JSON.stringify(data)), id, meta: { created, lastModified: now } });
			return kept.get(id);
		})
		.egress((resource) => {
			if (resource.id) return find(resource.id);
			const all = [...kept.values()];
			return resource.filter ? resource.filter.match(all) : all;
		})
		.degress((resource) => void (find(resource.id) && kept.delete(resource.id)));
}

SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);
// An extension of the server's own, as apps have them for what RFC 7643 doesn't know.
const { Attribute, SchemaDefinition } = SCIMMY.Types;
SCIMMY.Resources.User.extend(new SchemaDefinition("Membership", "urn:ietf:params:scim:schemas:extension:membership:2.0:User", "What a code host knows of a member", [
	new Attribute("boolean", "owner", { description: "Whether the member owns the organisation" }),
	new Attribute("boolean", "secondFactor", { description: "Whether the member signs in with a second factor" }),
	new Attribute("dateTime", "joined", { description: "When the member joined" }),
]), false);
keep(SCIMMY.Resources.User);
keep(SCIMMY.Resources.Group);

const app = express();
app.use("/scim/v2", new SCIMMYRouters({
	type: "bearer",
	handler: (request) => {
		if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("Wrong token");
		return "tests";
	},
}));
const server = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/scim/v2`));
process.stdin.on("end", () => process.exit(0)).resume();
