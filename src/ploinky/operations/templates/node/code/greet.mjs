#!/usr/bin/env node
// A tool reads one line of JSON, {"tool": ..., "input": {...}, ...}, and prints its answer.
import { readFileSync } from "node:fs";

const call = JSON.parse(readFileSync(0, "utf8"));
const name = call.input.name;
if (!name) {
  console.error("name is missing");
  process.exit(1);
}
console.log(`${process.env.GREETING ?? "Hello"}, ${name}!`);
