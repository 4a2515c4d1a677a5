import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readLocalConfig } from "../local-config.ts";
import { isPublicAddress, publicOnly, webhookUrl } from "./address.ts";
import { nextTry, retryAfterMs } from "./webhook.ts";

test.each([
  "0.0.0.0",
  "10.1.2.3",
  "100.100.100.200",
  "127.0.0.1",
  "168.63.129.16",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:8.8.8.8",
  "64:ff9b::7f00:1",
  "2001::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1%eth0",
  "ff02::1",
  "localhost",
  "",
])("%s is no address of the Internet", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each(["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"])(
  "%s is one",
  (address) => {
    expect(isPublicAddress(address)).toBe(true);
  },
);

test.each([
  ["alerts", "no URL"],
  ["ftp://example.com/x", "the scheme ftp"],
  ["file:///etc/passwd", "the scheme file"],
  ["http://example.com/x", "plain http"],
  ["https://ana:secret@example.com/x", "a name or password in it"],
  ["https://example.com/x#y", "a part behind #"],
])("%s cannot be a webhook's URL: %s", (url, found) => {
  expect(() => webhookUrl(url, publicOnly)).toThrow(expect.objectContaining({ code: "webhook.url", found }) as Error);
});

test("plain http is for who allows it; a number in place of a host is the address that it means", () => {
  expect(webhookUrl("http://example.com/x", { ...publicOnly, http: true }).protocol).toBe("http:");
  expect(webhookUrl("https://2130706433/x", publicOnly).hostname).toBe("127.0.0.1");
});

test("a message is tried for about a day, ever later, and then no more; a receiver may ask for more time", () => {
  const at = new Date("2026-11-01T08:00:00Z");
  const waits = retryAfterMs.map((_, index) => Number(nextTry({ id: "msg_1", attempts: index + 1, at })) - Number(at));
  for (const [index, wait] of waits.entries()) {
    expect(wait).toBeGreaterThanOrEqual(retryAfterMs[index] as number);
    expect(wait).toBeLessThan((retryAfterMs[index] as number) * 1.1 + 1);
  }
  expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeGreaterThan(20 * 3_600_000);
  expect(nextTry({ id: "msg_1", attempts: retryAfterMs.length + 1, at })).toBeNull();
  expect(nextTry({ id: "msg_1", attempts: 1, at, retryAfter: 600 })).toEqual(new Date("2026-11-01T08:10:00Z"));
  expect(nextTry({ id: "msg_1", attempts: 1, at, retryAfter: 10 ** 9 })).toEqual(new Date("2026-11-02T08:00:00Z"));
});

test("only config.yaml of the data folder lets webhooks reach private hosts", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-config-"));
  try {
    expect(readLocalConfig(folder).webhooks).toEqual({ http: false, privateHosts: [] });
    writeFileSync(join(folder, "config.yaml"), "webhooks: { privateHosts: [alerts.internal] }\n");
    expect(readLocalConfig(folder)).toMatchObject({
      webhooks: { http: false, privateHosts: ["alerts.internal"] },
      commands: { allow: false },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
