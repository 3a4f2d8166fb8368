// Reads with the packages in argv[2] the events in argv[3], in both modes of CloudEvents, and the AsyncAPI document in
// argv[4]; argv[5] is the media type of structured mode.
// Every failed check ends it with an error.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(process.argv[2] + "/");
const { HTTP, CloudEvent, ValidationError } = require("cloudevents");
const { Parser } = require("@asyncapi/parser");
const addFormats = require("ajv-formats").default;

const sent = JSON.parse(readFileSync(process.argv[3]));
const document = JSON.parse(readFileSync(process.argv[4]));
const mediaType = process.argv[5];
const passed = (name) => console.log(`ok: ${name}`);

// An event as the SDK read it has the attributes that were sent. It makes numbers of integers in structured mode, and trims times to
// milliseconds.
const check = (event, { attributes, body }, decode) => {
  assert.ok(event instanceof CloudEvent && event.validate());
  const { data, ...have } = JSON.parse(JSON.stringify(event));
  const texts = Object.fromEntries(Object.entries(have).map(([name, value]) => [name, decode(String(value))]));
  const millis = (a) => ({ ...a, time: new Date(a.time).toISOString() });
  assert.deepEqual(millis(texts), millis(attributes));
  assert.deepEqual(data, body);
};

assert.ok(sent.length > 15, "every golden event is there");
for (const one of sent) {
  const headers = { "content-type": mediaType };
  check(HTTP.toEvent({ headers, body: JSON.stringify(one.structured) }), one, (value) => value);
}
passed("structured mode");

for (const one of sent) {
  assert.ok(HTTP.isEvent({ headers: one.headers, body: JSON.stringify(one.body) }));
  check(HTTP.toEvent({ headers: one.headers, body: JSON.stringify(one.body) }), one, decodeURIComponent);
}
assert.throws(() => HTTP.toEvent({ headers: { ...sent[0].headers, "ce-source": "" }, body: "{}" }).validate(), ValidationError);
passed("binary mode");

// The schemas are the documents in the folder argv[6]. Ajv is what the SDK itself validates with.
const Ajv = require("ajv/dist/2020").default;
const ajv = addFormats(new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }));
const schemas = new Map(readdirSync(process.argv[6]).map((file) => [file.replace(/\.json$/, ""), JSON.parse(readFileSync(join(process.argv[6], file)))]));
const envelope = ajv.compile(schemas.get("envelope"));
for (const { structured, attributes, body } of sent) {
  assert.ok(envelope(structured), JSON.stringify(envelope.errors));
  const valid = ajv.getSchema(attributes.dataschema) ?? ajv.compile(schemas.get(attributes.dataschema.replace("urn:gxpledger:schema:", "")));
  assert.ok(valid(body), attributes.type + JSON.stringify(valid.errors));
  for (const field of valid.schema.required) {
    const { [field]: _, ...less } = body;
    assert.ok(!valid(less), `${attributes.type} is valid without ${field}`);
  }
}
passed("schemas");

const faults = async (text) => {
  const { document, diagnostics } = await new Parser().parse(text);
  return { document, faults: diagnostics.filter((d) => d.severity === 0 || d.severity === 1) };
};
const parsed = await faults(JSON.stringify(document));
assert.deepEqual(parsed.faults, []);
assert.deepEqual(parsed.document.channels().all().map((c) => c.address() ?? null).sort(), ["/v1/events", "gxpledger.events", "gxpledger.scans", null].sort());
const types = new Set(sent.map((one) => one.attributes.type));
assert.deepEqual(new Set(parsed.document.messages().all().map((m) => m.name())), types, "a message for every type");
for (const operation of parsed.document.operations().all()) assert.equal(operation.action(), "send");
delete document.info.title;
assert.notDeepEqual((await faults(JSON.stringify(document))).faults, [], "a broken document is refused");
passed("AsyncAPI");
