// Run it anywhere: node --test tests/*.test.mjs
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";

const tool = fileURLToPath(new URL("../code/greet.mjs", import.meta.url));
const call = (input) =>
  spawnSync(process.execPath, [tool], {
    input: JSON.stringify({ tool: "greet", input, metadata: {} }) + "\n",
    encoding: "utf8",
  });

test("greets by name", () => {
  assert.equal(call({ name: "Ada" }).stdout.trim(), "Hello, Ada!");
});

test("a missing name fails", () => {
  assert.equal(call({}).status, 1);
});
