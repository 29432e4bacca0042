import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

// The gateway serves what this builds. For `npm run dev`, name a running one: PLOINKY_URL=http://127.0.0.1:8080
const gateway = process.env.PLOINKY_URL ?? "http://127.0.0.1:8080";
const proxied = ["/rpc", "/events", "/session", "/login", "/logout", "/blobs", "/upload"];
const built = "../src/ploinky/gateway/static";
const SMALLEST = 1024;
const TEXTS = /\.(js|css|html|svg|webmanifest)$/;

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

/** The service worker, told which files there are: a build with other files is another worker. */
function serviceWorker(): Plugin {
  return {
    name: "ploinky-worker",
    apply: "build",
    closeBundle() {
      const files = filesBelow(built).map((path) => `/${relative(built, path).replaceAll("\\", "/")}`);
      const shell = ["/", ...files.filter((path) => path !== "/index.html" && path !== "/sw.js").sort()];
      const mark = createHash("sha256").update(readFileSync(join(built, "index.html"))).update(shell.join("\n")).digest("hex").slice(0, 16);
      const text = readFileSync("worker/sw.js", "utf8").replace("__SHELL__", JSON.stringify(shell)).replace("__MARK__", mark);
      writeFileSync(join(built, "sw.js"), text);
    },
  };
}

/** Files of text beside themselves as brotli, for Python has none. */
function brotli(): Plugin {
  return {
    name: "ploinky-brotli",
    apply: "build",
    closeBundle() {
      for (const path of filesBelow(built)) {
        if (!TEXTS.test(path)) continue;
        const data = readFileSync(path);
        if (data.length <= SMALLEST) continue;
        writeFileSync(`${path}.br`, brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), serviceWorker(), brotli()],
  build: {
    outDir: built,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      ...Object.fromEntries(proxied.map((path) => [path, gateway])),
      "/ws": { target: gateway, ws: true },
    },
  },
});
