// What a newcomer types first: nothing but an endpoint is set, and no forcePathStyle on purpose.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CreateBucketCommand, DeleteBucketCommand, DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CreateQueueCommand, DeleteQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { endpoint, fetchBy, httpAgent, settings, text, unique } from "./stack.js";

const { region, credentials } = settings;

after(() => httpAgent.destroy());

test("new S3Client, new Upload, getSignedUrl and a PUT from a browser", async () => {
  const s3 = new S3Client({ endpoint, region, credentials, requestHandler: { httpAgent } });
  const Bucket = unique("first");
  await s3.send(new CreateBucketCommand({ Bucket }));
  await new Upload({ client: s3, params: { Bucket, Key: "big", Body: Buffer.alloc(11 << 20, "u") } }).done();
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "big", Range: "bytes=0-9" }));
  assert.equal(await text(got.Body), "uuuuuuuuuu");
  assert.equal(got.ContentRange, `bytes 0-9/${11 << 20}`);
  const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "page" }), { expiresIn: 60 });
  const answer = await fetchBy(url, { method: "PUT", body: "from a browser", headers: { origin: "http://localhost:3000" } });
  assert.equal(answer.status, 200, answer.body);
  assert.equal(await text((await s3.send(new GetObjectCommand({ Bucket, Key: "page" }))).Body), "from a browser");
  for (const Key of ["big", "page"]) await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  await s3.send(new DeleteBucketCommand({ Bucket }));
  s3.destroy();
});

test("new SQSClient sends to the QueueUrl's host", async () => {
  const sqs = new SQSClient({ endpoint, region, credentials });
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: unique("first") }));
  assert.equal(new URL(QueueUrl).host, new URL(endpoint).host);
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "x" }));
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
  assert.equal(Messages[0].Body, "x");
  await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  sqs.destroy();
});
