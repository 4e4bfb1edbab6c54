// EventBridge Scheduler by the JavaScript SDK v3: targets are invoked, at once and by the clock of a world of the test's own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  ConflictException, CreateScheduleCommand, CreateScheduleGroupCommand, DeleteScheduleCommand, DeleteScheduleGroupCommand, GetScheduleCommand,
  GetScheduleGroupCommand, ListTagsForResourceCommand, paginateListSchedules, ResourceNotFoundException, SchedulerClient, UpdateScheduleCommand, ValidationException,
} from "@aws-sdk/client-scheduler";
import { DeleteQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { admin, inLane, makeQueue, receiveUntil, settings, unique, waitFor } from "./stack.js";

const scheduler = new SchedulerClient(settings);
const sqs = new SQSClient(settings);
const GroupName = unique("js");
const RoleArn = "arn:aws:iam::000000000000:role/scheduler";
const FlexibleTimeWindow = { Mode: "OFF" };
let queue;

before(async () => {
  await scheduler.send(new CreateScheduleGroupCommand({ Name: GroupName, Tags: [{ Key: "team", Value: "a" }] }));
  queue = await makeQueue(sqs, unique("js"));
});
after(async () => {
  await scheduler.send(new DeleteScheduleGroupCommand({ Name: GroupName }));
  await sqs.send(new DeleteQueueCommand({ QueueUrl: queue.QueueUrl }));
  scheduler.destroy();
  sqs.destroy();
});

const create = (more) => scheduler.send(new CreateScheduleCommand({ GroupName, FlexibleTimeWindow, ScheduleExpression: "rate(1 day)", ...more }));
const toQueue = (more) => ({ Arn: queue.QueueArn, RoleArn, ...more });

test("a rate begins at once, by a templated and by a universal target", async () => {
  const { ScheduleArn } = await create({ Name: "templated", Target: toQueue({ Input: "from <aws.scheduler.schedule-arn>" }) });
  await create({ Name: "universal", Target: { Arn: "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", RoleArn, Input: JSON.stringify({ QueueUrl: queue.QueueUrl, MessageBody: "by the operation" }) } });
  const found = (await receiveUntil(sqs, queue.QueueUrl, 2)).map(({ Body }) => Body);
  assert.deepEqual(found.sort(), ["by the operation", `from ${ScheduleArn}`]);
});

test("a letter tells why its target was not invoked", async () => {
  const nowhere = `${queue.QueueArn}-nowhere`;
  const { ScheduleArn } = await create({ Name: "lost", Target: { Arn: nowhere, RoleArn, Input: "lost", DeadLetterConfig: { Arn: queue.QueueArn } } });
  const [{ Body, MessageAttributes: told }] = await receiveUntil(sqs, queue.QueueUrl, 1);
  assert.deepEqual([Body, told.ERROR_CODE.StringValue, told.SCHEDULE_ARN.StringValue, told.TARGET_ARN.StringValue], ["lost", "AWS.SimpleQueueService.NonExistentQueue", ScheduleArn, nowhere]);
});

test("a year passes by the clock: each month at nine in Berlin, in winter and in summer", async () => {
  const lane = unique("lane");
  const there = { scheduler: inLane(new SchedulerClient(settings), lane), sqs: inLane(new SQSClient(settings), lane) };
  const { QueueUrl, QueueArn } = await makeQueue(there.sqs, "q");
  const Target = { Arn: QueueArn, RoleArn, Input: "<aws.scheduler.scheduled-time>" };
  const ScheduleExpressionTimezone = "Europe/Berlin";
  // A year from a day in the middle of a month has twelve beginnings of one, whenever the test runs.
  await admin("/_fractus/clock", { lane, action: "set", to: "2041-01-15T00:00:00Z" });
  await there.scheduler.send(new CreateScheduleCommand({ Name: "monthly", FlexibleTimeWindow, ScheduleExpression: "cron(0 9 1 * ? *)", ScheduleExpressionTimezone, Target }));
  await admin("/_fractus/clock", { lane, action: "advance", seconds: 365 * 86400 });
  const times = (await receiveUntil(there.sqs, QueueUrl, 12)).map(({ Body }) => new Date(Body)).sort((one, other) => one - other);
  const local = new Intl.DateTimeFormat("en-GB", { timeZone: ScheduleExpressionTimezone, day: "numeric", hour: "2-digit", minute: "2-digit" });
  assert.deepEqual(new Set(times.map((time) => local.format(time))), new Set([local.format(new Date("2024-01-01T08:00:00Z"))]));
  assert.deepEqual(new Set(times.map((time) => time.getUTCHours())), new Set([7, 8]));
  const months = times.map((time) => time.getUTCFullYear() * 12 + time.getUTCMonth());
  assert.deepEqual(months, months.map((_, at) => months[0] + at));
  there.scheduler.destroy();
  there.sqs.destroy();
});

test("a one-time schedule fires at its time and is deleted", async () => {
  const lane = unique("lane");
  const there = { scheduler: inLane(new SchedulerClient(settings), lane), sqs: inLane(new SQSClient(settings), lane) };
  const { QueueUrl, QueueArn } = await makeQueue(there.sqs, "q");
  const at = new Date(Date.now() + 30 * 86400_000).toISOString().slice(0, 19);
  const Target = { Arn: QueueArn, RoleArn, Input: "<aws.scheduler.scheduled-time>" };
  await there.scheduler.send(new CreateScheduleCommand({ Name: "once", FlexibleTimeWindow, ScheduleExpression: `at(${at})`, ActionAfterCompletion: "DELETE", Target }));
  assert.equal((await there.scheduler.send(new GetScheduleCommand({ Name: "once" }))).ActionAfterCompletion, "DELETE");
  await admin("/_fractus/clock", { lane, action: "advance", seconds: 31 * 86400 });
  assert.deepEqual((await receiveUntil(there.sqs, QueueUrl, 1)).map(({ Body }) => Body), [`${at}Z`]);
  await assert.rejects(there.scheduler.send(new GetScheduleCommand({ Name: "once" })), ResourceNotFoundException);
  there.scheduler.destroy();
  there.sqs.destroy();
});

test("dates are dates, and an update replaces the whole", async () => {
  const [StartDate, EndDate] = [new Date("2099-01-01T00:00:00Z"), new Date("2099-12-31T00:00:00Z")];
  await create({ Name: "dated", StartDate, EndDate, Description: "d", Target: toQueue({ Input: "x" }) });
  const read = () => scheduler.send(new GetScheduleCommand({ Name: "dated", GroupName }));
  const first = await read();
  assert.deepEqual([first.StartDate, first.EndDate, first.Description, first.ScheduleExpressionTimezone], [StartDate, EndDate, "d", "UTC"]);
  assert.deepEqual(first.Target.RetryPolicy, { MaximumEventAgeInSeconds: 86400, MaximumRetryAttempts: 185 });
  await scheduler.send(new UpdateScheduleCommand({ Name: "dated", GroupName, FlexibleTimeWindow, ScheduleExpression: "rate(2 days)", State: "DISABLED", Target: toQueue() }));
  const second = await read();
  assert.deepEqual([second.StartDate, second.Description, second.Target.Input, second.State, second.ScheduleExpression], [undefined, undefined, undefined, "DISABLED", "rate(2 days)"]);
  assert.deepEqual(second.CreationDate, first.CreationDate);
  assert.ok(second.LastModificationDate >= first.LastModificationDate);
});

test("the paginator goes through all pages; a group goes with its schedules", async () => {
  const Name = unique("js");
  const { ScheduleGroupArn } = await scheduler.send(new CreateScheduleGroupCommand({ Name, Tags: [{ Key: "stage", Value: "x" }] }));
  assert.deepEqual((await scheduler.send(new ListTagsForResourceCommand({ ResourceArn: ScheduleGroupArn }))).Tags, [{ Key: "stage", Value: "x" }]);
  for (let n = 0; n < 5; n++) await create({ Name: `s${n}`, GroupName: Name, State: "DISABLED", Target: toQueue() });
  const pages = [];
  for await (const { Schedules } of paginateListSchedules({ client: scheduler, pageSize: 2 }, { GroupName: Name })) pages.push(Schedules.map((one) => one.Name));
  assert.deepEqual(pages, [["s0", "s1"], ["s2", "s3"], ["s4"]]);
  await scheduler.send(new DeleteScheduleGroupCommand({ Name }));
  assert.equal((await scheduler.send(new GetScheduleGroupCommand({ Name }))).State, "DELETING");
  await waitFor(() => scheduler.send(new GetScheduleGroupCommand({ Name })).then(() => false, (error) => error instanceof ResourceNotFoundException));
  await assert.rejects(scheduler.send(new GetScheduleCommand({ Name: "s0", GroupName: Name })), ResourceNotFoundException);
});

test("errors are typed", async () => {
  await create({ Name: "twice", State: "DISABLED", Target: toQueue() });
  await assert.rejects(create({ Name: "twice", Target: toQueue() }), ConflictException);
  await scheduler.send(new DeleteScheduleCommand({ Name: "twice", GroupName }));
  await assert.rejects(scheduler.send(new GetScheduleCommand({ Name: "twice", GroupName })), ResourceNotFoundException);
  const refused = create({ Name: "s", ScheduleExpression: "rate(30 seconds)", Target: toQueue() });
  await assert.rejects(refused, (error) => error instanceof ValidationException && error.message === "Invalid Schedule Expression rate(30 seconds).");
});
