// npm's sqs-consumer: an application that works a queue off.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DeleteQueueCommand, GetQueueAttributesCommand, SendMessageBatchCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";
import { makeQueue, receiveUntil, settings, unique, waitFor } from "./stack.js";

const sqs = new SQSClient(settings);

// Runs a consumer until `isDone`, and then until it has stopped; what it said of errors.
async function consume(options, isDone) {
  const errors = [];
  const consumer = Consumer.create({ sqs, waitTimeSeconds: 1, strictReturn: true, ...options });
  for (const kind of ["error", "processing_error", "timeout_error"]) consumer.on(kind, (error) => errors.push(`${kind}: ${error.message}`));
  const stopped = new Promise((done) => consumer.on("stopped", done));
  consumer.start();
  try {
    await waitFor(isDone);
  } finally {
    consumer.stop();
    await stopped;
  }
  return errors;
}

// A handler that has ended, and even a consumer that has stopped, may still be deleting the message.
async function emptied(QueueUrl) {
  const AttributeNames = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
  await waitFor(async () => {
    const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }));
    return AttributeNames.every((name) => Attributes[name] === "0");
  });
}

const sendAll = (QueueUrl, bodies, more = () => ({})) =>
  sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries: bodies.map((MessageBody, at) => ({ Id: String(at), MessageBody, ...more(at) })) }));

test("sqs-consumer", async (t) => {
  t.after(() => sqs.destroy());

  await t.test("every message is handled once, and then it is gone", async () => {
    const { QueueUrl } = await makeQueue(sqs, unique("js"));
    const sent = [...Array(30).keys()].map((n) => `m${n}`);
    for (let at = 0; at < 30; at += 10) await sendAll(QueueUrl, sent.slice(at, at + 10), () => ({ MessageAttributes: { kind: { DataType: "String", StringValue: "work" } } }));
    const handled = [];
    const handleMessage = async (message) => {
      assert.equal(message.MessageAttributes.kind.StringValue, "work");
      assert.equal(message.Attributes.ApproximateReceiveCount, "1");
      handled.push(message.Body);
      return message;
    };
    const errors = await consume({ queueUrl: QueueUrl, batchSize: 10, messageAttributeNames: ["All"], messageSystemAttributeNames: ["All"], handleMessage }, () => handled.length >= sent.length);
    assert.deepEqual(errors, []);
    assert.deepEqual(handled.sort(), sent.sort());
    await emptied(QueueUrl);
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  });

  await t.test("what fails is offered again at once, and goes to the dead-letter queue in the end", async () => {
    const dead = await makeQueue(sqs, unique("js"));
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: dead.QueueArn, maxReceiveCount: 3 });
    const { QueueUrl } = await makeQueue(sqs, unique("js"), { RedrivePolicy, VisibilityTimeout: "600" });
    await sendAll(QueueUrl, ["good", "poison"]);
    const attempts = { good: 0, poison: 0 };
    const handleMessage = async (message) => {
      attempts[message.Body] += 1;
      if (message.Body === "poison") throw new Error("no");
      return message;
    };
    let letters = [];
    // Without terminateVisibilityTimeout this would take half an hour.
    const errors = await consume({ queueUrl: QueueUrl, terminateVisibilityTimeout: true, handleMessage }, async () => {
      letters = letters.concat(await receiveUntil(sqs, dead.QueueUrl, 1));
      return letters.length;
    });
    assert.deepEqual([attempts, letters.map(({ Body }) => Body)], [{ good: 1, poison: 3 }, ["poison"]]);
    assert.equal(errors.length, 3);
    assert.ok(errors.every((error) => error.startsWith("processing_error")), errors.join("\n"));
    await emptied(QueueUrl);
    for (const url of [QueueUrl, dead.QueueUrl]) await sqs.send(new DeleteQueueCommand({ QueueUrl: url }));
  });

  await t.test("its heartbeat keeps a slow message from being offered to another consumer", async () => {
    const { QueueUrl } = await makeQueue(sqs, unique("js"), { VisibilityTimeout: "3" });
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "slow" }));
    let begun = 0, ended = 0;
    const handleMessage = async (message) => {
      begun += 1;
      // Ends between two heartbeats: sqs-consumer would tell of one that crosses the deletion.
      await sleep(4500);
      ended += 1;
      return message;
    };
    const options = { queueUrl: QueueUrl, visibilityTimeout: 3, heartbeatInterval: 1, handleMessage };
    const both = await Promise.all([consume(options, () => ended), consume(options, () => ended)]);
    assert.deepEqual([begun, ended, both.flat()], [1, 1, []]);
    await emptied(QueueUrl);
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  });

  await t.test("a batch of a FIFO queue stays in order, and only what is returned is deleted", async () => {
    const { QueueUrl } = await makeQueue(sqs, `${unique("js")}.fifo`, { FifoQueue: "true", ContentBasedDeduplication: "true", VisibilityTimeout: "1" });
    await sendAll(QueueUrl, ["a", "b", "c", "d"], () => ({ MessageGroupId: "g" }));
    const batches = [];
    const handleMessageBatch = async (messages) => {
      batches.push(messages.map(({ Body }) => Body));
      return batches.length === 1 ? messages.slice(0, 2) : messages;
    };
    const errors = await consume({ queueUrl: QueueUrl, batchSize: 10, suppressFifoWarning: true, handleMessageBatch }, () => batches.length >= 2);
    assert.deepEqual([batches, errors], [[["a", "b", "c", "d"], ["c", "d"]], []]);
    await emptied(QueueUrl);
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  });
});
