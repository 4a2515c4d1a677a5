import { expect, test } from "vitest";
import { refuseForeign } from "./origin.ts";

const cases: [string, Record<string, string>, boolean][] = [
  ["the CLI", { host: "127.0.0.1:7420" }, true],
  ["by name", { host: "localhost:7420" }, true],
  ["by IPv6", { host: "[::1]:7420" }, true],
  ["its own page", { host: "localhost:7420", origin: "http://localhost:7420" }, true],
  ["a name that was made to point here", { host: "evil.example:7420" }, false],
  ["a name that only begins like ours", { host: "localhost.evil.example" }, false],
  ["another site's page", { host: "127.0.0.1:7420", origin: "https://evil.example" }, false],
  ["a sandboxed frame", { host: "127.0.0.1:7420", origin: "null" }, false],
  ["junk", { host: "127.0.0.1:7420", origin: "%%" }, false],
];

test.each(cases)("%s", (_name, headers, allowed) => {
  expect(refuseForeign(new Headers(headers))?.code).toBe(allowed ? undefined : "auth.origin");
});
