// STS by the JavaScript SDK v3.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { settings } from "./stack.js";

test("who am I, and who am I as a role", async () => {
  const sts = new STSClient(settings);
  const { Account, Arn } = await sts.send(new GetCallerIdentityCommand({}));
  assert.equal(Account, "000000000000");
  assert.match(Arn, /^arn:aws:/);
  const RoleArn = "arn:aws:iam::000000000000:role/reader";
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "me" }));
  assert.ok(Credentials.Expiration instanceof Date && Credentials.Expiration > new Date());
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = Credentials;
  const asRole = new STSClient({ ...settings, credentials: { accessKeyId, secretAccessKey, sessionToken } });
  assert.equal((await asRole.send(new GetCallerIdentityCommand({}))).Arn, "arn:aws:sts::000000000000:assumed-role/reader/me");
  asRole.destroy();
  sts.destroy();
});
