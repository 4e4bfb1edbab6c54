// SNS by the JavaScript SDK v3, with queues behind the topics.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateTopicCommand, DeleteTopicCommand, GetSubscriptionAttributesCommand, InvalidParameterException, ListTagsForResourceCommand, NotFoundException,
  paginateListSubscriptionsByTopic, PublishBatchCommand, PublishCommand, SetSubscriptionAttributesCommand, SNSClient, SubscribeCommand, UnsubscribeCommand,
} from "@aws-sdk/client-sns";
import { DeleteQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { makeQueue, receiveUntil, settings, unique } from "./stack.js";

const sns = new SNSClient(settings);
const sqs = new SQSClient(settings);
let TopicArn, one, other;

before(async () => {
  ({ TopicArn } = await sns.send(new CreateTopicCommand({ Name: unique("js"), Tags: [{ Key: "team", Value: "a" }] })));
  [one, other] = [await makeQueue(sqs, unique("js")), await makeQueue(sqs, unique("js"))];
});
after(async () => {
  await sns.send(new DeleteTopicCommand({ TopicArn }));
  for (const { QueueUrl } of [one, other]) await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  sns.destroy();
  sqs.destroy();
});

const subscribe = async (Endpoint, Attributes) =>
  (await sns.send(new SubscribeCommand({ TopicArn, Protocol: "sqs", Endpoint, Attributes, ReturnSubscriptionArn: true }))).SubscriptionArn;

test("a topic fans out; a filter and raw delivery are of one subscription", async () => {
  const FilterPolicy = JSON.stringify({ kind: [{ prefix: "ord" }], size: [{ numeric: [">", 10] }] });
  const all = await subscribe(one.QueueArn);
  const large = await subscribe(other.QueueArn, { FilterPolicy, RawMessageDelivery: "true" });
  const attributes = (size) => ({
    kind: { DataType: "String", StringValue: "order" }, size: { DataType: "Number", StringValue: String(size) }, blob: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255]) },
  });
  const { MessageId } = await sns.send(new PublishCommand({ TopicArn, Subject: "s", Message: "large ü", MessageAttributes: attributes(11) }));
  await sns.send(new PublishCommand({ TopicArn, Message: "small", MessageAttributes: attributes(9) }));
  const envelopes = (await receiveUntil(sqs, one.QueueUrl, 2)).map(({ Body }) => JSON.parse(Body));
  assert.deepEqual(envelopes.map(({ Message }) => Message).sort(), ["large ü", "small"]);
  const envelope = envelopes.find((each) => each.MessageId === MessageId);
  assert.deepEqual([envelope.Type, envelope.Subject, envelope.Message, envelope.TopicArn], ["Notification", "s", "large ü", TopicArn]);
  assert.deepEqual(envelope.MessageAttributes.blob, { Type: "Binary", Value: "AP8=" });
  const [raw, ...more] = await receiveUntil(sqs, other.QueueUrl, 1);
  assert.deepEqual([raw.Body, more.length, [...raw.MessageAttributes.blob.BinaryValue]], ["large ü", 0, [0, 255]]);
  for (const SubscriptionArn of [all, large]) await sns.send(new UnsubscribeCommand({ SubscriptionArn }));
  await assert.rejects(sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn: all })), NotFoundException);
});

test("a filter on the body takes the place of one on attributes", async () => {
  const SubscriptionArn = await subscribe(one.QueueArn, { RawMessageDelivery: "true", FilterPolicyScope: "MessageBody", FilterPolicy: '{"order":{"total":[{"numeric":[">=",100]}]}}' });
  await sns.send(new PublishCommand({ TopicArn, Message: '{"order":{"total":99}}' }));
  await sns.send(new PublishCommand({ TopicArn, Message: '{"order":{"total":100}}' }));
  assert.deepEqual((await receiveUntil(sqs, one.QueueUrl, 1)).map(({ Body }) => Body), ['{"order":{"total":100}}']);
  await sns.send(new SetSubscriptionAttributesCommand({ SubscriptionArn, AttributeName: "FilterPolicy", AttributeValue: "{}" }));
  const { Attributes } = await sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn }));
  assert.deepEqual([Attributes.RawMessageDelivery, Attributes.Endpoint, Attributes.PendingConfirmation], ["true", one.QueueArn, "false"]);
  await sns.send(new UnsubscribeCommand({ SubscriptionArn }));
});

test("a batch answers entry by entry; a FIFO topic keeps the order of its groups", async () => {
  const { TopicArn: fifo } = await sns.send(new CreateTopicCommand({ Name: `${unique("js")}.fifo`, Attributes: { FifoTopic: "true" } }));
  const { QueueUrl, QueueArn } = await makeQueue(sqs, `${unique("js")}.fifo`, { FifoQueue: "true" });
  await sns.send(new SubscribeCommand({ TopicArn: fifo, Protocol: "sqs", Endpoint: QueueArn, Attributes: { RawMessageDelivery: "true" } }));
  const entry = (Id, more) => ({ Id, Message: Id, MessageGroupId: "g", MessageDeduplicationId: Id, ...more });
  const PublishBatchRequestEntries = [entry("a"), entry("b", { MessageDeduplicationId: undefined }), entry("c"), entry("d", { MessageDeduplicationId: "a" })];
  const { Successful, Failed } = await sns.send(new PublishBatchCommand({ TopicArn: fifo, PublishBatchRequestEntries }));
  assert.deepEqual([Successful.map(({ Id }) => Id), Failed.map(({ Id, SenderFault }) => [Id, SenderFault])], [["a", "c", "d"], [["b", true]]]);
  assert.ok(BigInt(Successful[0].SequenceNumber) < BigInt(Successful[1].SequenceNumber));
  await sns.send(new PublishCommand({ TopicArn: fifo, Message: "e", MessageGroupId: "g", MessageDeduplicationId: "e" }));
  // "d" has the deduplication id of "a", so it is not delivered.
  assert.deepEqual((await receiveUntil(sqs, QueueUrl, 3)).map(({ Body }) => Body), ["a", "c", "e"]);
  await sns.send(new DeleteTopicCommand({ TopicArn: fifo }));
  await sqs.send(new DeleteQueueCommand({ QueueUrl }));
});

test("the paginator goes through all pages", async () => {
  const arns = await Promise.all([...Array(101).keys()].map((n) => subscribe(`arn:aws:sqs:us-east-1:000000000000:nobody-${n}`)));
  const pages = [];
  for await (const { Subscriptions } of paginateListSubscriptionsByTopic({ client: sns }, { TopicArn })) pages.push(Subscriptions);
  assert.deepEqual(pages.map(({ length }) => length), [100, 1]);
  assert.deepEqual(pages.flat().map(({ SubscriptionArn }) => SubscriptionArn).sort(), arns.sort());
});

test("tags are told, and errors are typed", async () => {
  assert.deepEqual((await sns.send(new ListTagsForResourceCommand({ ResourceArn: TopicArn }))).Tags, [{ Key: "team", Value: "a" }]);
  await assert.rejects(sns.send(new PublishCommand({ TopicArn: `${TopicArn}x`, Message: "x" })), NotFoundException);
  const empty = sns.send(new PublishCommand({ TopicArn, Message: "" }));
  await assert.rejects(empty, (error) => error instanceof InvalidParameterException && error.message === "Invalid parameter: Empty message" && error.$fault === "client");
});
