import { expect, test } from "vitest";
import { parseJson } from "../lib/json.ts";
import { bodyOf, signedHeaders, withoutValues } from "./message.ts";

test("a reason is told without keys of rows and without what a consumer said of its failure; numbers and people's words stay", () => {
  expect(withoutValues("chg_1 cannot be carried to both sides: beside rel_2: both change the row ana@example.com")).toBe(
    "chg_1 cannot be carried to both sides",
  );
  expect(withoutValues("HARM: model fails on the candidate and did not before, and 2 more: cannot cast 'ana@example.com'")).toBe(
    "HARM: model fails on the candidate and did not before, and 2 more",
  );
  for (const reason of [
    "HARM: conversion 0.021 against 0.034: worse by 0.013 ± 0.004, and 0.002 is tolerated",
    "trip 2 was right: twice",
    "",
  ])
    expect(withoutValues(reason)).toBe(reason);
});

test("the signature is the specification's, over the bytes behind whsec_", () => {
  // The vector of the reference libraries.
  const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", body: '{"test": 2432232314}' };
  const headers = signedHeaders(message, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", new Date(1_614_265_330_000));
  expect(headers).toMatchObject({
    "webhook-id": message.id,
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

test("a long text is cut to what Slack takes, and cannot call anybody", () => {
  const notice = { type: "release.held", subject: "rel_1", at: new Date(0), lines: [], next: null, data: {} } as const;
  const { blocks } = parseJson(bodyOf({ ...notice, text: `<!channel> ${"x".repeat(5000)}` })) as unknown as {
    blocks: { text: { text: string } }[];
  };
  expect(blocks[0]?.text.text).toMatch(/^&lt;!channel&gt; x+…$/);
  expect(blocks[0]?.text.text.length).toBeLessThan(3000);
});
