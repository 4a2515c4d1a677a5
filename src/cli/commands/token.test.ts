import { expect, test } from "vitest";
import { textOfToken } from "./token.ts";

test("a token whose text was lost on the way is named, so that it can be revoked", () => {
  expect(textOfToken({ id: "tok_1", token: "tg_1_x" })).toBe("tg_1_x");
  expect(() => textOfToken({ id: "tok_1" })).toThrow(
    expect.objectContaining({ code: "answer.broken", hint: "tidegate token revoke tok_1, then create another" }) as Error,
  );
});
