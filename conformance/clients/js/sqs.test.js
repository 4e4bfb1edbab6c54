// SQS by the JavaScript SDK v3, which sends to the QueueUrl's host and not to the endpoint.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateQueueCommand, DeleteMessageCommand, DeleteQueueCommand, GetQueueAttributesCommand, QueueDoesNotExist, GetQueueUrlCommand,
  ReceiveMessageCommand, SendMessageBatchCommand, SendMessageCommand, SQSClient,
} from "@aws-sdk/client-sqs";
import { endpoint, settings, unique } from "./stack.js";

const sqs = new SQSClient(settings);
const QueueName = unique("js");
let QueueUrl;

before(async () => ({ QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName }))));
after(async () => {
  await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  sqs.destroy();
});

test("the queue's URL is of the host that was asked", () => {
  assert.equal(new URL(QueueUrl).host, new URL(endpoint).host);
});

test("a message goes and comes; the SDK checks the MD5 sums", async () => {
  const sent = await sqs.send(new SendMessageCommand({
    QueueUrl, MessageBody: "hello ü", MessageAttributes: { n: { DataType: "Number", StringValue: "1" }, b: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255]) } },
  }));
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5, MessageAttributeNames: ["All"] }));
  assert.equal(Messages.length, 1);
  assert.equal(Messages[0].MessageId, sent.MessageId);
  assert.equal(Messages[0].Body, "hello ü");
  assert.deepEqual([...Messages[0].MessageAttributes.b.BinaryValue], [0, 255]);
  await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle }));
});

test("the client sends to the QueueUrl's host even when its endpoint is elsewhere", async () => {
  const elsewhere = new SQSClient({ ...settings, endpoint: undefined });
  await elsewhere.send(new SendMessageCommand({ QueueUrl, MessageBody: "by url" }));
  const { Messages } = await elsewhere.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
  assert.equal(Messages[0].Body, "by url");
  await elsewhere.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle }));
  elsewhere.destroy();
});

test("batches answer entry by entry", async () => {
  const Entries = [{ Id: "a", MessageBody: "x" }, { Id: "b", MessageBody: "x", DelaySeconds: 901 }];
  const { Successful, Failed } = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  assert.deepEqual([Successful.map(({ Id }) => Id), Failed.map(({ Id }) => Id)], [["a"], ["b"]]);
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["ApproximateNumberOfMessages"] }));
  assert.equal(Attributes.ApproximateNumberOfMessages, "1");
});

test("errors are typed", async () => {
  await assert.rejects(sqs.send(new GetQueueUrlCommand({ QueueName: unique("missing") })), (error) => error instanceof QueueDoesNotExist);
});
