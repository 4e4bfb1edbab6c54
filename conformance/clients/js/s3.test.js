// S3 by the JavaScript SDK v3 with its own defaults: virtual hosts, CRC checksums, no forcePathStyle on purpose.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import {
  CopyObjectCommand, CreateBucketCommand, DeleteBucketCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand,
  ListObjectsV2Command, NoSuchKey, paginateListObjectsV2, PutObjectCommand, S3Client, waitUntilObjectExists,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { endpoint, fetchBy, httpAgent, settings, text, unique } from "./stack.js";

const s3 = new S3Client({ ...settings, requestHandler: { httpAgent } });
const Bucket = unique("js");

before(() => s3.send(new CreateBucketCommand({ Bucket })));
after(async () => {
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket })) {
    const Objects = (page.Contents ?? []).map(({ Key }) => ({ Key }));
    if (Objects.length) await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  }
  await s3.send(new DeleteBucketCommand({ Bucket }));
  s3.destroy();
  httpAgent.destroy();
});

test("the client really uses the bucket's own host", async () => {
  let host;
  const watching = new S3Client({ ...settings, requestHandler: { httpAgent } });
  watching.middlewareStack.add((next) => (args) => ((host = args.request.hostname), next(args)), { step: "finalizeRequest", priority: "low" });
  await watching.send(new ListObjectsV2Command({ Bucket }));
  assert.equal(host, `${Bucket}.${new URL(endpoint).hostname}`);
  watching.destroy();
});

test("put and get with default checksums", async () => {
  const put = await s3.send(new PutObjectCommand({ Bucket, Key: "dir/a b+ü?", Body: "hello", Metadata: { colour: "blue" } }));
  assert.ok(put.ChecksumCRC32 ?? put.ChecksumCRC64NVME, "today's SDKs send a checksum unasked");
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "dir/a b+ü?" }));
  assert.equal(await text(got.Body), "hello");
  assert.deepEqual(got.Metadata, { colour: "blue" });
  assert.equal(got.ETag, put.ETag);
});

test("a stream goes aws-chunked and comes back plain", async () => {
  const block = Buffer.alloc(64 * 1024, "s");
  const Body = Readable.from(Array.from({ length: 16 }, () => block));
  await s3.send(new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: 1 << 20 }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "stream" }));
  assert.equal(got.ContentLength, 1 << 20);
  assert.ok(!(got.ContentEncoding ?? "").includes("aws-chunked"));
  assert.equal((await got.Body.transformToByteArray()).length, 1 << 20);
});

test("lib-storage uploads in parts", async () => {
  const Body = Readable.from((function* () { for (let at = 0; at < 12; at++) yield Buffer.alloc(1 << 20, String.fromCharCode(97 + at)); })());
  const done = await new Upload({ client: s3, params: { Bucket, Key: "big", Body }, partSize: 5 << 20, queueSize: 3 }).done();
  assert.match(done.ETag, /-3"$/);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "big" }));
  assert.equal(head.ContentLength, 12 << 20);
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "big", Range: `bytes=${(5 << 20) - 1}-${5 << 20}` }));
  assert.equal(await text(got.Body), "ef");
});

test("getSignedUrl, then PUT and GET by plain HTTP on the bucket's host", async () => {
  const put = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "signed" }), { expiresIn: 60 });
  assert.equal((await fetchBy(put, { method: "PUT", body: "by url" })).status, 200);
  const get = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "signed" }), { expiresIn: 60 });
  assert.equal((await fetchBy(get)).body, "by url");
});

test("a URL that has the CRC of no body, as it is signed before there is one, takes a body", async () => {
  const command = new PutObjectCommand({ Bucket, Key: "unknown", ChecksumCRC32: "AAAAAA==" });
  const put = await getSignedUrl(s3, command, { expiresIn: 60 });
  assert.match(put, /[?&]x-amz-checksum-crc32=AAAAAA%3D%3D/);
  const answer = await fetchBy(put, { method: "PUT", body: "there is one now" });
  assert.equal(answer.status, 200, answer.body);
  assert.equal(await text((await s3.send(new GetObjectCommand({ Bucket, Key: "unknown" }))).Body), "there is one now");
});

test("getSignedUrl, then fetch itself, path style", async () => {
  const path = new S3Client({ ...settings, forcePathStyle: true });
  const put = await getSignedUrl(path, new PutObjectCommand({ Bucket, Key: "fetched", ContentType: "text/x" }), { expiresIn: 60 });
  const answer = await fetch(put, { method: "PUT", body: "by fetch", headers: { "content-type": "text/x" } });
  assert.equal(answer.status, 200, await answer.text());
  const got = await fetch(await getSignedUrl(path, new GetObjectCommand({ Bucket, Key: "fetched" })));
  assert.equal(await got.text(), "by fetch");
  path.destroy();
});

test("createPresignedPost, then a form as a browser sends it", async () => {
  const path = new S3Client({ ...settings, forcePathStyle: true });
  const { url, fields } = await createPresignedPost(path, {
    Bucket, Key: "form/${filename}", Conditions: [["content-length-range", 1, 20], { success_action_status: "201" }],
    Fields: { success_action_status: "201" }, Expires: 60,
  });
  const post = (content) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("file", new Blob([content], { type: "text/plain" }), "photo.txt");
    return fetch(url, { method: "POST", body: form });
  };
  const answer = await post("by form");
  const said = await answer.text();
  assert.equal(answer.status, 201, said);
  assert.match(said, /<Key>form\/photo\.txt<\/Key>/);
  assert.equal(await text((await s3.send(new GetObjectCommand({ Bucket, Key: "form/photo.txt" }))).Body), "by form");
  const long = await post("much too long for this policy");
  assert.equal(long.status, 400);
  assert.match(await long.text(), /<Code>EntityTooLarge<\/Code>/);
  path.destroy();
});

test("pages, prefixes, copy and waiters", async () => {
  for (const Key of ["p/1", "p/2", "p/sub/3", "p/sub/4", "p/5"]) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
  const keys = [], prefixes = [];
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, Prefix: "p/", Delimiter: "/" })) {
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
    prefixes.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix));
  }
  assert.deepEqual([keys, prefixes], [["p/1", "p/2", "p/5"], ["p/sub/"]]);
  await s3.send(new CopyObjectCommand({ Bucket, Key: "copied", CopySource: `${Bucket}/p/1` }));
  const waited = await waitUntilObjectExists({ client: s3, minDelay: 1, maxWaitTime: 5 }, { Bucket, Key: "copied" });
  assert.equal(waited.state, "SUCCESS");
});

test("a missing key is NoSuchKey", async () => {
  await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: "missing" })), (error) => error instanceof NoSuchKey && error.$metadata.httpStatusCode === 404);
});
