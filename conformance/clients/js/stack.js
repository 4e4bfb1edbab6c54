// Clients of the stack under test.
import { randomUUID } from "node:crypto";
import { lookup } from "node:dns";
import { Agent, request } from "node:http";

export const endpoint = (process.env.FRACTUS_ENDPOINT ?? "http://localhost:4566").replace(/\/$/, "");
export const settings = { endpoint, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" } };
export const unique = (prefix) => `${prefix}-${randomUUID().slice(0, 13)}`;

// Node asks the system for `bucket.localhost`. systemd-resolved, musl and macOS 26 answer with the loopback address, as
// RFC 6761 asks for; glibc's plain files-and-dns resolver does not know the name. This does what such a resolver does, so
// that the suite judges the stack and not the machine: the request on the wire is the same, Host header included.
function resolve(name, options, done) {
  lookup(name.endsWith(".localhost") ? "localhost" : name, options, done);
}
export const httpAgent = new Agent({ keepAlive: true, lookup: resolve });

export async function text(stream) {
  return await stream.transformToString();
}

// `fetch` takes no resolver of ours; the request is the one that fetch makes, through the same agent.
export function fetchBy(url, { method = "GET", body, headers } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, agent: httpAgent, headers: { ...headers, ...(body ? { "content-length": Buffer.byteLength(body) } : {}) } }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part)).on("end", () => resolve({ status: answer.statusCode, body: Buffer.concat(parts).toString(), headers: answer.headers }));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}
