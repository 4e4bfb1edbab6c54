// EventBridge by the JavaScript SDK v3: rules with queues, a topic, another bus and an HTTP API as targets; an archive and its replay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateApiDestinationCommand, CreateArchiveCommand, CreateConnectionCommand, CreateEventBusCommand, DeleteApiDestinationCommand, DeleteArchiveCommand,
  DeleteConnectionCommand, DeleteEventBusCommand, DeleteRuleCommand, DescribeArchiveCommand, DescribeConnectionCommand, DescribeReplayCommand,
  DescribeRuleCommand, DisableRuleCommand, EventBridgeClient, InvalidEventPatternException, ListRulesCommand, ListTargetsByRuleCommand, PutEventsCommand,
  PutRuleCommand, PutTargetsCommand, RemoveTargetsCommand, ResourceAlreadyExistsException, ResourceNotFoundException, StartReplayCommand,
  TestEventPatternCommand,
} from "@aws-sdk/client-eventbridge";
import { CreateTopicCommand, DeleteTopicCommand, SNSClient, SubscribeCommand } from "@aws-sdk/client-sns";
import { DeleteQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { hook, makeQueue, receiveUntil, settings, unique, waitFor } from "./stack.js";

const events = new EventBridgeClient(settings);
const sns = new SNSClient(settings);
const sqs = new SQSClient(settings);
const EventBusName = unique("js");
let busArn, queue;

before(async () => {
  ({ EventBusArn: busArn } = await events.send(new CreateEventBusCommand({ Name: EventBusName })));
  queue = await makeQueue(sqs, unique("js"));
});
after(async () => {
  const { Rules } = await events.send(new ListRulesCommand({ EventBusName }));
  for (const { Name } of Rules) await unwire(Name);
  await events.send(new DeleteEventBusCommand({ Name: EventBusName }));
  await sqs.send(new DeleteQueueCommand({ QueueUrl: queue.QueueUrl }));
  for (const client of [events, sns, sqs]) client.destroy();
});

async function wire(pattern, ...targets) {
  const Name = unique("rule");
  await events.send(new PutRuleCommand({ Name, EventBusName, EventPattern: JSON.stringify(pattern) }));
  const Targets = targets.map((target, at) => ({ Id: String(at), ...target }));
  assert.equal((await events.send(new PutTargetsCommand({ Rule: Name, EventBusName, Targets }))).FailedEntryCount, 0);
  return Name;
}

async function unwire(Rule) {
  const { Targets } = await events.send(new ListTargetsByRuleCommand({ Rule, EventBusName }));
  if (Targets.length) await events.send(new RemoveTargetsCommand({ Rule, EventBusName, Ids: Targets.map(({ Id }) => Id) }));
  await events.send(new DeleteRuleCommand({ Name: Rule, EventBusName }));
}

async function put(Source, ...details) {
  const Entries = details.map((detail) => ({ EventBusName, Source, DetailType: "order placed", Detail: JSON.stringify(detail) }));
  const answer = await events.send(new PutEventsCommand({ Entries }));
  assert.equal(answer.FailedEntryCount, 0);
  return answer.Entries.map(({ EventId }) => EventId);
}

const bodies = async (count) => (await receiveUntil(sqs, queue.QueueUrl, count)).map(({ Body }) => JSON.parse(Body));

test("what a rule's pattern lets pass comes to its target, with the time that was given", async () => {
  const Source = unique("shop");
  const pattern = { source: [Source], $or: [{ detail: { total: [{ numeric: [">", 100] }] } }, { detail: { who: [{ "equals-ignore-case": "ann" }] } }] };
  await wire(pattern, { Arn: queue.QueueArn });
  const Time = new Date("2024-02-29T12:34:56Z");
  const entry = (detail) => ({ EventBusName, Source, DetailType: "order placed", Detail: JSON.stringify(detail), Time, Resources: ["arn:x"] });
  const { Entries } = await events.send(new PutEventsCommand({ Entries: [entry({ total: 100 }), entry({ total: 101 }), entry({ who: "ANN" })] }));
  const found = await bodies(2);
  assert.deepEqual(found.map(({ id }) => id).sort(), [Entries[1].EventId, Entries[2].EventId].sort());
  const { id, detail, ...rest } = found[0];
  assert.deepEqual(rest, {
    version: "0", "detail-type": "order placed", source: Source, account: "000000000000", time: "2024-02-29T12:34:56Z", region: "us-east-1", resources: ["arn:x"],
  });
});

test("a transformer fills its template, for one target of two", async () => {
  const Source = unique("shop");
  const InputTransformer = { InputPathsMap: { who: "$.detail.who", n: "$.detail.list[1].n" }, InputTemplate: '{"greeting": "Hello <who>", "n": <n>, "rule": <aws.events.rule-name>}' };
  const rule = await wire({ source: [Source] }, { Arn: queue.QueueArn, InputTransformer }, { Arn: queue.QueueArn, InputPath: "$.detail" });
  const detail = { who: "Ann", list: [{ n: 1 }, { n: 2 }] };
  await put(Source, detail);
  const found = await bodies(2);
  assert.deepEqual(found.find(({ greeting }) => greeting), { greeting: "Hello Ann", n: 2, rule });
  assert.deepEqual(found.find(({ who }) => who), detail);
});

test("an event goes through another bus and a topic", async () => {
  const Source = unique("shop");
  const Name = unique("first");
  await events.send(new CreateEventBusCommand({ Name }));
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: unique("js") }));
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: "sqs", Endpoint: queue.QueueArn, Attributes: { RawMessageDelivery: "true" } }));
  await wire({ source: [Source] }, { Arn: TopicArn });
  await events.send(new PutRuleCommand({ Name: "on", EventBusName: Name, EventPattern: JSON.stringify({ source: [Source] }) }));
  await events.send(new PutTargetsCommand({ Rule: "on", EventBusName: Name, Targets: [{ Id: "bus", Arn: busArn, RoleArn: "arn:aws:iam::000000000000:role/bus" }] }));
  const { Entries } = await events.send(new PutEventsCommand({ Entries: [{ EventBusName: Name, Source, DetailType: "d", Detail: '{"n":1}' }] }));
  const [event] = await bodies(1);
  assert.deepEqual([event.id, event.detail], [Entries[0].EventId, { n: 1 }]);
  await events.send(new RemoveTargetsCommand({ Rule: "on", EventBusName: Name, Ids: ["bus"] }));
  await events.send(new DeleteRuleCommand({ Name: "on", EventBusName: Name }));
  await events.send(new DeleteEventBusCommand({ Name }));
  await sns.send(new DeleteTopicCommand({ TopicArn }));
});

test("an API destination is called with the connection's key", async (t) => {
  const receiver = await hook();
  t.after(receiver.close);
  const Name = unique("js");
  const { ConnectionArn } = await events.send(new CreateConnectionCommand({
    Name, AuthorizationType: "API_KEY",
    AuthParameters: { ApiKeyAuthParameters: { ApiKeyName: "x-key", ApiKeyValue: "secret" }, InvocationHttpParameters: { QueryStringParameters: [{ Key: "via", Value: "connection" }] } },
  }));
  await waitFor(async () => (await events.send(new DescribeConnectionCommand({ Name }))).ConnectionState === "AUTHORIZED");
  const { ApiDestinationArn } = await events.send(new CreateApiDestinationCommand({ Name, ConnectionArn, HttpMethod: "PUT", InvocationEndpoint: `${receiver.url}/*` }));
  const Source = unique("shop");
  const rule = await wire({ source: [Source] }, {
    Arn: ApiDestinationArn, RoleArn: "arn:aws:iam::000000000000:role/api", InputPath: "$.detail", HttpParameters: { PathParameterValues: ["$.detail.who"], HeaderParameters: { "x-a": "b" } },
  });
  await put(Source, { who: "ann" });
  const called = await waitFor(() => receiver.got[0]);
  const { pathname, searchParams } = new URL(called.url, receiver.url);
  assert.deepEqual([called.method, pathname, searchParams.get("via"), called.headers["x-key"], called.headers["x-a"]], ["PUT", "/hook/ann", "connection", "secret", "b"]);
  assert.deepEqual(JSON.parse(called.body), { who: "ann" });
  await unwire(rule);
  await events.send(new DeleteApiDestinationCommand({ Name }));
  await events.send(new DeleteConnectionCommand({ Name }));
});

test("an archive is replayed to those who listen now", async () => {
  const Source = unique("shop");
  const ArchiveName = unique("js");
  const { ArchiveArn } = await events.send(new CreateArchiveCommand({ ArchiveName, EventSourceArn: busArn, EventPattern: JSON.stringify({ source: [Source] }) }));
  const ids = await put(Source, ...[...Array(10).keys()].map((n) => ({ n })));
  await waitFor(async () => (await events.send(new DescribeArchiveCommand({ ArchiveName }))).EventCount === 10);
  await wire({ source: [Source], "replay-name": [{ exists: true }] }, { Arn: queue.QueueArn });
  const ReplayName = unique("js");
  const hour = 3600_000;
  const [EventStartTime, EventEndTime] = [new Date(Date.now() - hour), new Date(Date.now() + hour)];
  await events.send(new StartReplayCommand({ ReplayName, EventSourceArn: ArchiveArn, EventStartTime, EventEndTime, Destination: { Arn: busArn } }));
  const found = await bodies(10);
  assert.deepEqual(found.map(({ id }) => id).sort(), ids.sort());
  assert.ok(found.every((event) => event["replay-name"] === ReplayName));
  const replay = await waitFor(async () => {
    const told = await events.send(new DescribeReplayCommand({ ReplayName }));
    return told.State === "COMPLETED" && told;
  });
  assert.ok(replay.EventLastReplayedTime instanceof Date);
  await events.send(new DeleteArchiveCommand({ ArchiveName }));
});

test("a bad entry fails alone; a disabled rule is silent", async () => {
  const Source = unique("shop");
  const rule = await wire({ source: [Source] }, { Arn: queue.QueueArn });
  const entry = (more) => ({ EventBusName, Source, DetailType: "d", Detail: "{}", ...more });
  const { FailedEntryCount, Entries } = await events.send(new PutEventsCommand({ Entries: [entry(), entry({ Detail: "no json" }), entry({ DetailType: undefined })] }));
  assert.deepEqual([FailedEntryCount, Entries.map(({ ErrorCode }) => ErrorCode)], [2, [undefined, "MalformedDetail", "InvalidArgument"]]);
  assert.deepEqual((await bodies(1)).map(({ id }) => id), [Entries[0].EventId]);
  await events.send(new DisableRuleCommand({ Name: rule, EventBusName }));
  assert.equal((await events.send(new DescribeRuleCommand({ Name: rule, EventBusName }))).State, "DISABLED");
  await put(Source, { n: 1 });
  const later = unique("shop");
  await wire({ source: [later] }, { Arn: queue.QueueArn });
  await put(later, { n: 2 });
  assert.deepEqual((await bodies(1)).map(({ detail }) => detail), [{ n: 2 }]);
});

test("lists go on by NextToken, patterns are tested, errors are typed", async () => {
  const names = [...Array(5).keys()].map((n) => `page-${n}`);
  for (const Name of names) await events.send(new PutRuleCommand({ Name, EventBusName, EventPattern: '{"source":["x"]}' }));
  const found = [];
  let NextToken;
  do {
    const page = await events.send(new ListRulesCommand({ EventBusName, NamePrefix: "page-", Limit: 2, NextToken }));
    found.push(page.Rules.map(({ Name }) => Name));
    ({ NextToken } = page);
  } while (NextToken);
  assert.deepEqual(found, [names.slice(0, 2), names.slice(2, 4), names.slice(4)]);
  const Event = JSON.stringify({ id: "1", account: "0", source: "x", time: "2024-01-01T00:00:00Z", region: "r", resources: [], "detail-type": "d", detail: { ip: "10.0.0.7" } });
  const matches = async (pattern) => (await events.send(new TestEventPatternCommand({ Event, EventPattern: JSON.stringify(pattern) }))).Result;
  assert.deepEqual([await matches({ detail: { ip: [{ cidr: "10.0.0.0/24" }] } }), await matches({ detail: { ip: [{ "anything-but": { prefix: "10." } }] } })], [true, false]);
  await assert.rejects(events.send(new DescribeRuleCommand({ Name: unique("nobody"), EventBusName })), ResourceNotFoundException);
  await assert.rejects(events.send(new CreateEventBusCommand({ Name: EventBusName })), ResourceAlreadyExistsException);
  await assert.rejects(events.send(new PutRuleCommand({ Name: "r", EventBusName, EventPattern: '{"source":"x"}' })), InvalidEventPatternException);
});
