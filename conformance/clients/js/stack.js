// Clients of the stack under test.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { lookup } from "node:dns";
import { Agent, createServer, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { CreateQueueCommand, DeleteMessageCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";

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

// The whole of `count` messages (or more), each deleted as it comes.
export async function receiveUntil(sqs, QueueUrl, count, seconds = 20) {
  const found = [];
  const end = performance.now() + seconds * 1000;
  while (found.length < count) {
    if (performance.now() > end) throw new Error(`${found.length} of ${count} messages came within ${seconds} s`);
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: ["All"] }));
    for (const { ReceiptHandle } of Messages) await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    found.push(...Messages);
  }
  return found;
}

// The first truthy value of `what()`.
export async function waitFor(what, seconds = 20) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await what();
    if (value) return value;
    if (performance.now() > end) throw new Error(`nothing came within ${seconds} s`);
    await sleep(20);
  }
}

// A queue of the name with its ARN.
export async function makeQueue(sqs, QueueName, Attributes = {}) {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
  const told = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] }));
  return { QueueUrl, QueueArn: told.Attributes.QueueArn };
}

// Every request of this client says that it is of the world `lane`.
export function inLane(client, lane) {
  client.middlewareStack.add((next) => (args) => {
    args.request.headers["x-fractus-lane"] = lane;
    return next(args);
  }, { step: "build", name: "lane" });
  return client;
}

// One of the stack's own paths.
export async function admin(path, body) {
  const answer = await fetch(endpoint + path, body && { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer;
}

// An HTTP endpoint on this machine: its URL, and what it got.
export async function hook() {
  const got = [];
  const server = createServer((asked, answer) => {
    const parts = [];
    asked.on("data", (part) => parts.push(part)).on("end", () => {
      got.push({ headers: asked.headers, method: asked.method, url: asked.url, body: Buffer.concat(parts).toString() });
      answer.end();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}/hook`, got, close: () => (server.closeAllConnections(), server.close()) };
}

// A stack of a test's own, with settings in its environment; `end` waits until its processes are gone.
export async function ownStack(services, settings) {
  const port = await new Promise((done) => {
    const listener = createServer().listen(0, "127.0.0.1", () => {
      const { port } = listener.address();
      listener.close(() => done(port));
    });
  });
  const child = spawn(process.env.FRACTUS_PROGRAM, ["up", ...services, "--port", String(port)], { env: { ...process.env, ...settings }, stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise((done) => child.on("exit", done));
  await new Promise((ready, failed) => {
    let said = "";
    child.stdout.on("data", (part) => (said += part).includes("\nReady.\n") && ready());
    ended.then((code) => failed(new Error(`the stack ended with ${code} before it was ready`)));
  });
  return { port, end: () => (child.kill(), ended) };
}
