import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The console is built into dist beside the server that serves it; names of what the page loads hold a hash of the content. */
export default defineConfig({
  plugins: [react()],
  build: { outDir: "../dist/console", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  // `npx vite web` beside a server on its usual port: the page is rebuilt as it is written.
  server: { proxy: { "/v1": "http://127.0.0.1:7420" } },
});
