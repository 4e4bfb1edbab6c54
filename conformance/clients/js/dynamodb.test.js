// DynamoDB by the JavaScript SDK v3 and its document client.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ConditionalCheckFailedException, CreateTableCommand, DeleteTableCommand, DynamoDBClient, waitUntilTableExists, waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand, paginateQuery, PutCommand, TransactWriteCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { settings, unique } from "./stack.js";

const dynamodb = new DynamoDBClient(settings);
const documents = DynamoDBDocumentClient.from(dynamodb);
const TableName = unique("js");

before(async () => {
  await dynamodb.send(new CreateTableCommand({
    TableName, BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [{ AttributeName: "p", AttributeType: "S" }, { AttributeName: "s", AttributeType: "N" }],
    KeySchema: [{ AttributeName: "p", KeyType: "HASH" }, { AttributeName: "s", KeyType: "RANGE" }],
  }));
  const waited = await waitUntilTableExists({ client: dynamodb, minDelay: 1, maxWaitTime: 10 }, { TableName });
  assert.equal(waited.state, "SUCCESS");
});
after(async () => {
  await dynamodb.send(new DeleteTableCommand({ TableName }));
  await waitUntilTableNotExists({ client: dynamodb, minDelay: 1, maxWaitTime: 10 }, { TableName });
  dynamodb.destroy();
});

test("an item of every type comes back as it was", async () => {
  const Item = { p: "types", s: 1, text: "ü", number: -1.5, bytes: new Uint8Array([0, 255]), yes: true, no: null, list: [1, "a"], map: { deep: { er: 1 } }, set: new Set(["a", "b"]) };
  await documents.send(new PutCommand({ TableName, Item }));
  const got = await documents.send(new GetCommand({ TableName, Key: { p: "types", s: 1 }, ConsistentRead: true }));
  assert.deepEqual(got.Item, Item);
});

test("an update answers what is new; a condition that fails is typed", async () => {
  const Key = { p: "counter", s: 1 };
  const { Attributes } = await documents.send(new UpdateCommand({
    TableName, Key, UpdateExpression: "ADD #n :one", ExpressionAttributeNames: { "#n": "n" }, ExpressionAttributeValues: { ":one": 1 }, ReturnValues: "UPDATED_NEW",
  }));
  assert.deepEqual(Attributes, { n: 1 });
  const again = new PutCommand({ TableName, Item: Key, ConditionExpression: "attribute_not_exists(p)" });
  await assert.rejects(documents.send(again), (error) => error instanceof ConditionalCheckFailedException);
});

test("a query goes by pages; a transaction writes all", async () => {
  const TransactItems = [1, 2, 3, 4, 5].map((s) => ({ Put: { TableName, Item: { p: "pages", s } } }));
  await documents.send(new TransactWriteCommand({ TransactItems }));
  const found = [];
  const query = { TableName, KeyConditionExpression: "p = :p", ExpressionAttributeValues: { ":p": "pages" }, ScanIndexForward: false };
  for await (const page of paginateQuery({ client: documents, pageSize: 2 }, query)) found.push(...page.Items.map(({ s }) => s));
  assert.deepEqual(found, [5, 4, 3, 2, 1]);
});
