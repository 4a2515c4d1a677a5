import { afterAll, beforeAll, expect, test } from "vitest";
import { testApp, type TestApp } from "../../test/harness/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ local: false });
});
afterAll(() => app.close());

test("a browser that opens the server's address learns what this is and what to type, and asks for nothing from elsewhere", async () => {
  const answer = await app.send("GET", "/");
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toMatch(/^text\/html/);
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  const page = await answer.text();
  for (const words of [
    "npx tidegate change list",
    "npx tidegate diff",
    "npx tidegate merge",
    "/v1/openapi.json",
    "npx tidegate token create",
  ])
    expect(page).toContain(words);
  expect(page).not.toMatch(/https?:|src=|<script|<link|@import|url\(/);
});
