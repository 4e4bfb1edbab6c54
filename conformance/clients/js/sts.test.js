import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { settings } from "./stack.js";

const missing = process.env.FRACTUS_PROGRAM && !existsSync(new URL("../../../services/sts/src/main.rs", import.meta.url));

test("who am I", { skip: missing ? "services/sts has no program yet" : false }, async () => {
  const sts = new STSClient(settings);
  const { Account, Arn } = await sts.send(new GetCallerIdentityCommand({}));
  assert.equal(Account, "000000000000");
  assert.match(Arn, /^arn:aws:/);
  sts.destroy();
});
