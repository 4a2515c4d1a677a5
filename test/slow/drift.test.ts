import { expect, test } from "vitest";
import { batch } from "../harness/drift-batches.ts";

/* The false-alarm budget of drift rules and what they find, by simulation. Seeds are the numbers of the batches. */

const sizes = [100, 200, 500, 1000, 2000, 5000, 10_000];

test("of 500 batches with 60 drift rules each and no drift, at most 1 % are blocked; what is found of seeded shifts is printed", () => {
  const batches = 500;
  const perSize = sizes.map((rows) => ({ rows, batches: 0, blocked: 0 }));
  for (let seed = 1; seed <= batches; seed += 1) {
    const size = perSize[seed % sizes.length] as (typeof perSize)[number];
    size.batches += 1;
    if (batch(seed, size.rows, Math.max(2000, size.rows), undefined)) size.blocked += 1;
  }
  const blocked = perSize.reduce((sum, size) => sum + size.blocked, 0);
  const lines = [
    "rows in the batch  batches  blocked",
    ...perSize.map((size) => `${String(size.rows).padStart(17)}  ${String(size.batches).padStart(7)}  ${String(size.blocked).padStart(7)}`),
  ];
  const found = (column: "numbers" | "categories", by: number, rows: number): string => {
    const runs = 20;
    const hits = Array.from({ length: runs }, (_, at) => batch(10_000 + at, rows, 3000, { column, by })).filter(Boolean).length;
    return `${String(Math.round((hits / runs) * 100)).padStart(3)} %`;
  };
  const shifts: ["numbers" | "categories", number, string][] = [
    ["numbers", 0.25, "mean by 0.25 sd"],
    ["numbers", 0.5, "mean by 0.5 sd"],
    ["numbers", 1, "mean by 1 sd"],
    ["categories", 0.1, "10 % to one category"],
    ["categories", 0.2, "20 % to one category"],
    ["categories", 0.4, "40 % to one category"],
  ];
  lines.push("", `shift found in a batch of rows  ${[100, 500, 2000].map((rows) => String(rows).padStart(5)).join("  ")}`);
  for (const [column, by, name] of shifts)
    lines.push(`${name.padEnd(30)}  ${[100, 500, 2000].map((rows) => found(column, by, rows)).join("  ")}`);
  process.stdout.write(`\n${blocked} of ${batches} batches without drift blocked\n${lines.join("\n")}\n`);
  expect(blocked / batches).toBeLessThanOrEqual(0.01);
});
