import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Context } from "hono";
import { sha256 } from "../lib/json.ts";

/** The console as it was built: a page, and what it loads. All of it is kept in memory. */
export interface ConsolePages {
  /** The answer to a request that a browser makes for the console; undefined when it is for something else. */
  answer(c: Context): Response | undefined;
}

interface File {
  type: string;
  plain: Uint8Array<ArrayBuffer>;
  zipped: Uint8Array<ArrayBuffer>;
  tag: string;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** What stands beside the pages and is none: the API, the doors of readers, and what watches a server. */
const notPages = /^\/(?:v1|iceberg|healthz|readyz|metrics)(?:\/|$)/;

/** Own scripts, own styles, own data, and nothing else; in no frame. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const guards = {
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
};

/** Where the build has put the console, seen from compiled code and from sources; undefined where it was not built. */
function builtFolder(): string | undefined {
  return ["../console/", "../../dist/console/"]
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((folder) => existsSync(join(folder, "index.html")));
}

/** The console's pages; undefined where they were not built. */
export function consolePages(folder: string | undefined = builtFolder()): ConsolePages | undefined {
  if (folder === undefined) return undefined;
  const files = new Map<string, File>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const plain = new Uint8Array(readFileSync(join(folder, name)));
    files.set(`/${name.replaceAll("\\", "/")}`, {
      type,
      plain,
      zipped: new Uint8Array(gzipSync(plain)),
      tag: `"${sha256(plain).slice(0, 16)}"`,
    });
  }
  const index = files.get("/index.html");
  if (index === undefined) return undefined;
  return {
    answer: (c) => {
      if ((c.req.method !== "GET" && c.req.method !== "HEAD") || notPages.test(c.req.path)) return undefined;
      const file = files.get(c.req.path);
      // Names of what the page loads hold a hash of the content: such a file never changes.
      if (file !== undefined && file !== index)
        return send(c, file, c.req.path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache");
      // Every other address is the page's own: it finds out what to show, and says so where there is nothing.
      const asksForPage = c.req.path === "/" || (c.req.header("accept") ?? "").includes("text/html");
      return asksForPage && !c.req.path.startsWith("/assets/") ? send(c, index, "no-store") : undefined;
    },
  };
}

function send(c: Context, { type, plain, zipped, tag }: File, caching: string): Response {
  const headers = { ...guards, "content-type": type, "cache-control": caching, vary: "accept-encoding", etag: tag };
  if (c.req.header("if-none-match") === tag) return new Response(null, { status: 304, headers });
  const zips = /\bgzip\b/.test(c.req.header("accept-encoding") ?? "");
  const body = zips ? zipped : plain;
  return new Response(c.req.method === "HEAD" ? null : body, {
    headers: { ...headers, ...(zips ? { "content-encoding": "gzip" } : {}), "content-length": String(body.length) },
  });
}
