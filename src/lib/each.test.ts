import { expect, test } from "vitest";
import { eachInTurn } from "./each.ts";

test("one that fails keeps no other waiting, and is told of when all were tried", async () => {
  const done: number[] = [];
  const work = async (item: number): Promise<void> => {
    done.push(item);
    if (item % 2 === 0) throw new Error(`${item} fails`);
  };
  await expect(eachInTurn([1, 2, 3, 4], work)).rejects.toThrow("2 fails");
  expect(done).toEqual([1, 2, 3, 4]);
  await eachInTurn([], work);
});
