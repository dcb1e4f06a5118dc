// Better Auth's SCIM plugin with a database in memory. It listens on a free port of the loopback interface, prints its
// base URL, and ends when its input does. The token, and how many requests it answers in two seconds if that is limited,
// are in the environment.
import crypto from "node:crypto";
import http from "node:http";
import { betterAuth } from "better-auth";
import { getAuthTables } from "better-auth/db";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { scim } from "@better-auth/scim";

const limit = Number(process.env.SCIM_LIMIT ?? 0);
const tables = {};

const server = http.createServer((request, response) => handler(request, response));
server.listen(0, "127.0.0.1");
await new Promise((listening) => server.once("listening", listening));
const base = `http://127.0.0.1:${server.address().port}`;

const options = {
	baseURL: base,
	secret: crypto.randomBytes(32).toString("hex"),
	telemetry: { enabled: false },
	logger: { disabled: true },
	database: memoryAdapter(tables),
	rateLimit: { enabled: limit > 0, window: 2, max: limit },
	advanced: { ipAddress: { ipAddressHeaders: ["x-forwarded-for"] } },
	plugins: [scim({
		connections: [{ id: "tests", credentials: [{ type: "bearer", id: "tests", token: process.env.SCIM_TOKEN }] }],
	})],
};
for (const table of Object.values(getAuthTables(options))) tables[table.modelName] = [];
const handler = toNodeHandler(betterAuth(options));
console.log(`${base}/api/auth/scim/v2`);
process.stdin.on("end", () => process.exit(0)).resume();
