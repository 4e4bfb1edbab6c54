// AWS's validator of SNS messages, at an HTTP endpoint that subscribes, confirms by the link that it was sent, and is published to.
import assert from "node:assert/strict";
import https, { Agent } from "node:https";
import { createRequire } from "node:module";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import { CreateTopicCommand, DeleteTopicCommand, PublishCommand, SetTopicAttributesCommand, SNSClient, SubscribeCommand } from "@aws-sdk/client-sns";
import { endpoint, hook, ownStack, settings, unique, waitFor } from "./stack.js";

const MessageValidator = createRequire(import.meta.url)("sns-validator");

// What the stack at `port` is trusted by. The validator fetches certificates over HTTPS only, by Node's own agent.
async function authority(port) {
  const answer = await fetch(`http://localhost:${port}/_fractus/ca.pem`);
  assert.equal(answer.status, 200);
  return await answer.text();
}

// One endpoint's life, every message judged by `validator`; the genuine messages are answered.
async function judge(sns, validator, SignatureVersion) {
  const validate = promisify(validator.validate.bind(validator));
  const receiver = await hook();
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: unique("js") }));
  try {
    await sns.send(new SetTopicAttributesCommand({ TopicArn, AttributeName: "SignatureVersion", AttributeValue: SignatureVersion }));
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: "http", Endpoint: receiver.url }));
    const asked = await waitFor(() => receiver.got[0]);
    assert.equal(asked.headers["x-amz-sns-message-type"], "SubscriptionConfirmation");
    const confirmation = await validate(asked.body);
    assert.deepEqual([confirmation.Type, confirmation.SignatureVersion], ["SubscriptionConfirmation", SignatureVersion]);
    const status = await new Promise((done, failed) => https.get(confirmation.SubscribeURL, (answer) => done(answer.resume().statusCode)).on("error", failed));
    assert.equal(status, 200);
    await sns.send(new PublishCommand({ TopicArn, Subject: "with a subject", Message: '{"n":1,"ü":"€"}\nsecond line', MessageAttributes: { a: { DataType: "String", StringValue: "b" } } }));
    await sns.send(new PublishCommand({ TopicArn, Message: "without a subject" }));
    // A message may come twice, as on AWS: what counts is that both come, and that all are genuine.
    const subjects = (messages) => [...new Set(messages.map(({ Subject }) => Subject ?? ""))].sort();
    const expected = ["", "with a subject"];
    const bodies = await waitFor(() => {
      const all = receiver.got.slice(1).map(({ body }) => body);
      return subjects(all.map((body) => JSON.parse(body))).length === expected.length && all;
    });
    const notifications = await Promise.all(bodies.map((body) => validate(body)));
    assert.deepEqual(subjects(notifications), expected);
    assert.ok(notifications.every((one) => one.Type === "Notification" && one.SignatureVersion === SignatureVersion));
    // The validator can refuse: what it accepts above is no accident.
    await assert.rejects(validate({ ...notifications[0], Message: "forged" }), /signature is invalid/);
    await assert.rejects(validate({ ...confirmation, Token: "0" }), /signature is invalid/);
    return notifications[0];
  } finally {
    await sns.send(new DeleteTopicCommand({ TopicArn }));
    receiver.close();
  }
}

describe("sns-validator", () => {
  const agents = [https.globalAgent];
  const globalAgent = (agent) => agents.push((https.globalAgent = agent));
  after(() => {
    https.globalAgent = agents[0];
    for (const agent of agents.slice(1)) agent.destroy();
  });

  test("with the stack's own host as pattern, over the stack's own TLS", async (t) => {
    const { port, hostname } = new URL(endpoint);
    if (!["localhost", "127.0.0.1"].includes(hostname)) return t.skip("the endpoint is not on this machine");
    globalAgent(new Agent({ ca: await authority(port) }));
    // Certificate and links are at the origin by which the subscription was made.
    const secure = `https://localhost:${port}`;
    const sns = new SNSClient({ ...settings, endpoint: secure, requestHandler: { httpsAgent: https.globalAgent } });
    t.after(() => sns.destroy());
    for (const version of ["1", "2"]) {
      const genuine = await judge(sns, new MessageValidator(new RegExp(`^localhost:${port}$`)), version);
      assert.equal(new URL(genuine.SigningCertURL).origin, secure);
      const refused = promisify(MessageValidator.prototype.validate.bind(new MessageValidator()))(genuine);
      await assert.rejects(refused, /invalid domain/, "AWS's own pattern does not let this host pass");
    }
  });

  // With the setting `signing_cert_url`; AWS's name is resolved to this machine, as a user does by DNS or /etc/hosts.
  test("with AWS's host, the validator's default", { skip: !process.env.FRACTUS_PROGRAM && "an endpoint was given: its settings are not ours" }, async () => {
    const stack = await ownStack(["sns"], { FRACTUS_SNS_SIGNING_CERT_URL: "https://sns.us-east-1.amazonaws.com" });
    try {
      class Resolved extends Agent {
        createConnection(options, done) {
          return super.createConnection({ ...options, host: "127.0.0.1", port: stack.port }, done);
        }
      }
      globalAgent(new Resolved({ ca: await authority(stack.port) }));
      const sns = new SNSClient({ ...settings, endpoint: `https://localhost:${stack.port}`, requestHandler: { httpsAgent: https.globalAgent } });
      for (const version of ["1", "2"]) {
        const { SigningCertURL } = await judge(sns, new MessageValidator(), version);
        assert.match(SigningCertURL, /^https:\/\/sns\.us-east-1\.amazonaws\.com\/.*SimpleNotificationService-[0-9a-f]+\.pem$/);
      }
      sns.destroy();
    } finally {
      await stack.end();
    }
  });
});
