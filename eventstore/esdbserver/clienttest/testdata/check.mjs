// Drives the official Node client against the server at argv[2]. Every failed check ends it with an error.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(process.argv[3] + "/");
const {
  EventStoreDBClient, jsonEvent, binaryEvent, streamNameFilter, eventTypeFilter, excludeSystemEvents,
  START, END, FORWARDS, BACKWARDS, NO_STREAM, ANY, STREAM_EXISTS,
  WrongExpectedVersionError, StreamNotFoundError, AccessDeniedError, MaxAppendSizeExceededError,
} = require("@eventstore/db-client");

const client = EventStoreDBClient.connectionString(process.argv[2]);
const order = (n) => jsonEvent({ id: randomUUID(), type: n % 2 ? "paid" : "placed", data: { n }, metadata: { by: "node", n } });
const collect = async (stream) => {
  const events = [];
  for await (const { event } of stream) events.push(event);
  return events;
};
const passed = (name) => console.log(`ok: ${name}`);

// append
const orders = [0, 1, 2, 3, 4, 5].map(order);
const first = await client.appendToStream("order-1", orders.slice(0, 4), { expectedRevision: NO_STREAM });
assert.equal(first.success, true);
assert.equal(first.nextExpectedRevision, 3n);
const again = await client.appendToStream("order-1", orders.slice(0, 4), { expectedRevision: NO_STREAM });
assert.deepEqual(again, first, "a repeated append is the first");
await client.appendToStream("order-1", orders.slice(4), { expectedRevision: 3n });
const raw = binaryEvent({ type: "raw", data: Buffer.from([0, 255, 1]), metadata: Buffer.from([7]) });
await client.appendToStream("order-2", raw, { expectedRevision: ANY });
await Promise.all([...Array(20).keys()].map((n) => client.appendToStream("many", order(n))));
await client.appendToStream("many", [], { expectedRevision: STREAM_EXISTS });
// With credentials the client takes Append instead of BatchAppend.
await client.appendToStream("order-3", order(0), { credentials: { username: "a", password: "b" } });
const big = jsonEvent({ type: "big", data: { text: "x".repeat(2 << 20) } });
await client.appendToStream("big", [big, jsonEvent({ type: "big", data: big.data })]);
passed("append");

// refusals
await assert.rejects(client.appendToStream("order-1", order(9), { expectedRevision: NO_STREAM }), WrongExpectedVersionError);
await assert.rejects(client.appendToStream("order-1", order(9), { expectedRevision: 99n }), WrongExpectedVersionError);
await assert.rejects(client.appendToStream("repository-1", order(9)), /stream "repository-1" is written by the engine alone/);
await assert.rejects(client.appendToStream("big", [0, 1, 2, 3, 4, 5, 6, 7].map(() => jsonEvent({ type: "big", data: big.data }))),
  MaxAppendSizeExceededError);
await assert.rejects(client.deleteStream("order-1"), AccessDeniedError);
await assert.rejects(client.tombstoneStream("order-1"), AccessDeniedError);
await assert.rejects(collect(client.readStream("none")), StreamNotFoundError);
passed("refusals");

// read both ways
const events = await collect(client.readStream("order-1"));
assert.deepEqual(events.map((e) => [e.id, e.type, e.data, e.metadata, e.revision, e.streamId]),
  orders.map((o, n) => [o.id, o.type, { n }, { by: "node", n }, BigInt(n), "order-1"]));
assert.ok(Math.abs(events[0].created - Date.now()) < 600_000, "created is a time of now");
const back = await collect(client.readStream("order-1", { direction: BACKWARDS, fromRevision: 4n, maxCount: 3 }));
assert.deepEqual(back.map((e) => e.revision), [4n, 3n, 2n]);
const last = await collect(client.readStream("order-1", { direction: BACKWARDS, fromRevision: END, maxCount: 1 }));
assert.deepEqual(last.map((e) => e.revision), [5n]);
const [bytes] = await collect(client.readStream("order-2"));
assert.deepEqual([...bytes.data, ...bytes.metadata], [0, 255, 1, 7]);
passed("read both ways");

// read all
const all = await collect(client.readAll({ direction: FORWARDS, fromPosition: START }));
assert.equal(all.length, 2 + 6 + 1 + 20 + 1 + 2);
assert.deepEqual(all.map((e) => e.position.commit), all.map((_, n) => BigInt(n + 1)));
assert.deepEqual(all.slice(0, 2).map((e) => [e.streamId, e.type, e.metadata.actor, e.metadata.index, e.metadata.$correlationId]),
  [["repository-1", "test.type0.v1", "engine", 0, "c"], ["repository-1", "test.type1.v1", "engine", 1, "c"]]);
const middle = await collect(client.readAll({ direction: BACKWARDS, fromPosition: { commit: 9n, prepare: 9n }, maxCount: 2 }));
assert.deepEqual(middle.map((e) => e.position.commit), [8n, 7n]);
passed("read all");

// subscribe to a stream and to $all, with filters
const follow = async (subscription, count, live) => {
  const seen = [];
  let appended;
  subscription.on("caughtUp", () => { appended ??= live(); });
  for await (const { event } of subscription) {
    seen.push(`${event.streamId}@${event.revision}`);
    if (seen.length === count) break;
  }
  assert.ok(appended, "caught up was told");
  await appended; // its answer may come after its event
  await subscription.unsubscribe().catch(() => {});
  return seen;
};
const add = (stream, n) => () => client.appendToStream(stream, order(n));
assert.deepEqual(await follow(client.subscribeToStream("order-1", { fromRevision: 3n }), 3, add("order-1", 6)),
  ["order-1@4", "order-1@5", "order-1@6"]);
const checkpoints = [];
const filter = streamNameFilter({
  prefixes: ["order-"], checkpointInterval: 1, checkpointReached: (_, p) => { checkpoints.push(p.commit); },
});
assert.deepEqual(await follow(client.subscribeToAll({ filter }), 10, add("order-9", 0)),
  [...[0, 1, 2, 3, 4, 5].map((n) => `order-1@${n}`), "order-2@0", "order-3@0", "order-1@6", "order-9@0"]);
assert.deepEqual(checkpoints, [32n, 33n], "a checkpoint after 32 events, and one before it is live");
assert.deepEqual(await follow(client.subscribeToAll({ filter: eventTypeFilter({ regex: "^raw$|^placed-late" }) }), 2,
  () => client.appendToStream("x", jsonEvent({ type: "placed-late", data: {} }))), ["order-2@0", "x@0"]);
assert.deepEqual(await follow(client.subscribeToAll({ fromPosition: END, filter: excludeSystemEvents() }), 1, add("z", 0)), ["z@0"]);
passed("subscribe");
await client.dispose();
