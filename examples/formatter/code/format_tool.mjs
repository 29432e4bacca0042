#!/usr/bin/env node
// Two tools over prettier; the first argument says which. One JSON line on stdin, the answer on stdout.
import { createInterface } from "node:readline/promises";
import * as prettier from "prettier";

async function format({ code, language, width }) {
  return prettier.format(code, { parser: language, printWidth: width ?? 80 });
}

async function check(input) {
  const wanted = (await format(input)).split("\n");
  const given = input.code.split("\n");
  const at = wanted.findIndex((line, index) => line !== given[index]);
  const formatted = at === -1 && wanted.length === given.length;
  return JSON.stringify({ formatted, firstLine: formatted ? null : at === -1 ? wanted.length : at + 1 });
}

const tools = { format, check };

for await (const line of createInterface({ input: process.stdin })) {
  try {
    process.stdout.write(await tools[process.argv[2]](JSON.parse(line).input));
  } catch (error) {
    process.stdout.write(JSON.stringify({ error: error.message }));
    process.exitCode = 1;
  }
  break;
}
