// DynamoDB by the JavaScript SDK v3: the document client, paginators, waiters, streams.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ConditionalCheckFailedException, CreateTableCommand, DeleteTableCommand, DescribeTableCommand, DynamoDBClient, waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { DescribeStreamCommand, DynamoDBStreamsClient, GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-dynamodb-streams";
import {
  BatchWriteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, TransactWriteCommand, UpdateCommand, paginateQuery,
} from "@aws-sdk/lib-dynamodb";
import { settings, unique } from "./stack.js";

const client = new DynamoDBClient(settings);
const documents = DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
const TableName = unique("js");

before(async () => {
  await client.send(new CreateTableCommand({
    TableName, BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }, { AttributeName: "sk", AttributeType: "N" }],
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }, { AttributeName: "sk", KeyType: "RANGE" }],
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
  }));
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { TableName });
});
after(async () => {
  await client.send(new DeleteTableCommand({ TableName }));
  client.destroy();
});

test("documents come back as they went", async () => {
  const Item = { pk: "a", sk: 1, list: [1, "two", { deep: [true, null] }], set: new Set(["x", "y"]), bytes: new Uint8Array([0, 255]), gone: undefined };
  await documents.send(new PutCommand({ TableName, Item }));
  const { Item: found } = await documents.send(new GetCommand({ TableName, Key: { pk: "a", sk: 1 } }));
  assert.deepEqual([...found.set].sort(), ["x", "y"]);
  assert.deepEqual([...found.bytes], [0, 255]);
  assert.deepEqual(found.list, Item.list);
  assert.ok(!("gone" in found));
});

test("an update counts, and a condition that does not hold is an error of its own", async () => {
  const Key = { pk: "counter", sk: 0 };
  const counted = await documents.send(new UpdateCommand({
    TableName, Key, UpdateExpression: "ADD hits :n", ExpressionAttributeValues: { ":n": 5 }, ReturnValues: "UPDATED_NEW",
  }));
  assert.deepEqual(counted.Attributes, { hits: 5 });
  await assert.rejects(
    documents.send(new PutCommand({ TableName, Item: Key, ConditionExpression: "attribute_not_exists(pk)" })),
    ConditionalCheckFailedException,
  );
});

test("pages of a query", async () => {
  const puts = Array.from({ length: 25 }, (_, sk) => ({ PutRequest: { Item: { pk: "pages", sk } } }));
  const { UnprocessedItems } = await documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: puts } }));
  assert.deepEqual(UnprocessedItems, {});
  const seen = [];
  for await (const page of paginateQuery({ client: documents, pageSize: 4 }, { TableName, KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": "pages" } })) {
    seen.push(...page.Items.map((item) => item.sk));
  }
  assert.deepEqual(seen, Array.from({ length: 25 }, (_, sk) => sk));
});

test("a transaction is all or nothing", async () => {
  const cancelled = await documents.send(new TransactWriteCommand({
    TransactItems: [{ Put: { TableName, Item: { pk: "t", sk: 1 } } }, { Delete: { TableName, Key: { pk: "t", sk: 2 }, ConditionExpression: "attribute_exists(pk)" } }],
  })).catch((error) => error);
  assert.equal(cancelled.name, "TransactionCanceledException");
  assert.deepEqual(cancelled.CancellationReasons.map((reason) => reason.Code), ["None", "ConditionalCheckFailed"]);
  assert.equal((await documents.send(new GetCommand({ TableName, Key: { pk: "t", sk: 1 } }))).Item, undefined);
});

test("the stream tells it all in order", async () => {
  const streams = new DynamoDBStreamsClient(settings);
  const { Table } = await client.send(new DescribeTableCommand({ TableName }));
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn: Table.LatestStreamArn }));
  const pks = [];
  for (const { ShardId } of StreamDescription.Shards) {
    const { ShardIterator } = await streams.send(new GetShardIteratorCommand({ StreamArn: Table.LatestStreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" }));
    const { Records } = await streams.send(new GetRecordsCommand({ ShardIterator }));
    pks.push(...Records.map((record) => record.dynamodb.Keys.pk.S));
  }
  assert.equal(pks.filter((pk) => pk === "pages").length, 25);
  assert.ok(pks.includes("a") && pks.includes("counter") && !pks.includes("t"));
  streams.destroy();
});
