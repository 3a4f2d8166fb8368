// Verifies what stands on standard input with the package standardwebhooks of npm: a line of JSON for each message, with its headers,
// its body and the secrets of which one verifies it.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Webhook } = createRequire(process.argv[2] + "/node_modules/")("standardwebhooks");
let n = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { headers, body, secrets, wrong } = JSON.parse(line);
  for (const secret of secrets) {
    const event = new Webhook(secret).verify(body, headers);
    if (event.id !== headers["webhook-id"]) throw new Error("another id: " + event.id);
  }
  let refused = 0;
  for (const attempt of [() => new Webhook(wrong).verify(body, headers), () => new Webhook(secrets[0]).verify(body + " ", headers)]) {
    try { attempt(); } catch { refused++; }
  }
  if (refused !== 2) throw new Error("a wrong secret or body was accepted");
  n++;
}
console.log("verified: " + n);
