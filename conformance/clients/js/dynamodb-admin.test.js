// dynamodb-admin, a look at tables in the browser: its pages and what they ask of it, with the stack behind.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { CreateTableCommand, DeleteTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand, UpdateTimeToLiveCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { endpoint, settings, unique, waitFor } from "./stack.js";

const client = new DynamoDBClient(settings);
const TableName = unique("look");
let admin, base;

async function page(path, options) {
  const answer = await fetch(base + path, options);
  const body = await answer.text();
  assert.ok(answer.ok, `${path}: ${answer.status} ${body.slice(0, 300)}`);
  return body;
}

before(async () => {
  await client.send(new CreateTableCommand({
    TableName, BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }, { AttributeName: "sk", AttributeType: "N" }],
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
    GlobalSecondaryIndexes: [{ IndexName: "turned", KeySchema: [{ AttributeName: "sk", KeyType: "HASH" }], Projection: { ProjectionType: "ALL" } }],
  }));
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { TableName });
  await client.send(new PutItemCommand({ TableName, Item: { pk: { S: "a" }, sk: { N: "1" }, list: { L: [{ BOOL: true }] }, words: { SS: ["x", "y"] } } }));
  const port = await new Promise((done) => {
    const listener = createServer().listen(0, "127.0.0.1", () => {
      const { port } = listener.address();
      listener.close(() => done(port));
    });
  });
  base = `http://127.0.0.1:${port}`;
  const program = new URL("node_modules/dynamodb-admin/dist/dynamodb-admin.js", import.meta.url).pathname;
  const { accessKeyId, secretAccessKey } = settings.credentials;
  const environment = { ...process.env, AWS_REGION: settings.region, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  admin = spawn(process.execPath, [program, "--host", "127.0.0.1", "--port", String(port), "--dynamo-endpoint", endpoint], { env: environment, stdio: "ignore" });
  await waitFor(() => fetch(base).then((answer) => answer.ok, () => false));
});
after(async () => {
  admin?.kill();
  await client.send(new DeleteTableCommand({ TableName }));
  client.destroy();
});

test("the tables are listed", async () => {
  assert.ok((await page("/")).includes("<html"));
  const tables = JSON.parse(await page("/api/tables"));
  assert.ok(tables.some((table) => (table.TableName ?? table) === TableName), JSON.stringify(tables).slice(0, 300));
});

test("a table is shown with its items", async () => {
  assert.ok((await page(`/tables/${TableName}`)).includes(TableName));
  const found = JSON.parse(await page(`/tables/${TableName}/items`));
  const text = JSON.stringify(found);
  assert.ok(text.includes('"pk":"a"'), text.slice(0, 500));
  assert.ok((await page(`/tables/${TableName}/meta`)).includes("turned"));
});

test("an item is shown, added and deleted", async () => {
  const shown = await page(`/tables/${TableName}/items/${encodeURIComponent(["a", "1"].join(","))}`);
  assert.ok(shown.includes("words"), shown.slice(0, 300));
  await page(`/tables/${TableName}/add-item`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ pk: "b", sk: 2, by: "a page" }) });
  const get = (pk, sk) => client.send(new GetItemCommand({ TableName, Key: { pk: { S: pk }, sk: { N: sk } } }));
  assert.equal((await get("b", "2")).Item.by.S, "a page");
  await page(`/tables/${TableName}/items/${encodeURIComponent("b,2")}`, { method: "DELETE" });
  assert.equal((await get("b", "2")).Item, undefined);
});

test("the time to live is shown", async () => {
  await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification: { Enabled: true, AttributeName: "until" } }));
  assert.ok((await page(`/tables/${TableName}/ttl`)).length > 0);
});
