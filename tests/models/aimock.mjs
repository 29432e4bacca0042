// npm's aimock with what tests need besides: /api/show and /api/pull of Ollama, which it does not speak.
// node aimock.mjs FILE   FILE holds {"fixtures": [...], "shown": {model: answer}, "pulls": {model: [line, ...]}}
import { readFileSync } from "node:fs";
import { LLMock } from "@copilotkit/aimock";

const script = JSON.parse(readFileSync(process.argv[2], "utf8"));
const mock = new LLMock({ port: 0, chunkSize: 7, strict: true });
mock.addFixturesFromJSON(script.fixtures);

const body = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
};
mock.mount("/api/show", {
  async handleRequest(request, response) {
    const { model } = await body(request);
    const answer = script.shown[model];
    response.writeHead(answer ? 200 : 404, { "Content-Type": "application/json" });
    response.end(JSON.stringify(answer ?? { error: `model '${model}' not found` }));
    return true;
  },
});
mock.mount("/api/pull", {
  async handleRequest(request, response) {
    const { model } = await body(request);
    response.writeHead(200, { "Content-Type": "application/x-ndjson" });
    for (const line of script.pulls[model] ?? [{ error: "pull model manifest: file does not exist" }])
      response.write(`${JSON.stringify(line)}\n`);
    response.end();
    return true;
  },
});
console.log(await mock.start());
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
