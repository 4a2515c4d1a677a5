import { expect, test } from "vitest";
import { errorKinds } from "./error-codes.ts";

test("every kind of failure has an HTTP status of 400 or more and an exit code from 1 to 5", () => {
  for (const { status, exit } of Object.values(errorKinds)) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(exit).toBeGreaterThanOrEqual(1);
    expect(exit).toBeLessThanOrEqual(5);
  }
});
