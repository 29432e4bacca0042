import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The gateway serves what this builds. For `npm run dev`, name a running one: PLOINKY_URL=http://127.0.0.1:8080
const gateway = process.env.PLOINKY_URL ?? "http://127.0.0.1:8080";
const proxied = ["/rpc", "/events", "/session", "/login", "/logout", "/blobs", "/upload"];

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/ploinky/gateway/static",
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
