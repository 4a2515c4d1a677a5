import { expect, test } from "vitest";
import { resultWith } from "../../test/harness/diff-result.ts";
import type { DiffResult } from "./diff.ts";
import { counted, grouped, headline } from "./headline.ts";

interface Numbers {
  before?: number;
  after?: number;
  added?: number;
  removed?: number;
  modified?: number;
  schema?: DiffResult["schema"];
}

function said({ before = 1000, after = 1000, added = 0, removed = 0, modified = 0, schema = [] }: Numbers): string {
  const result = resultWith();
  const columns = result.columns.map((column) => ({ ...column, cells: modified > 0 && column.state === "modified" ? modified : 0 }));
  const rows = { added, removed, modified, differing: added + removed + modified };
  return headline({
    ...result,
    columns,
    schema,
    rows,
    before: { ...result.before, rows: before },
    after: { ...result.after, rows: after },
  });
}

const dropped: DiffResult["schema"] = [{ kind: "dropped", effect: "breaking", column: "x", text: "x int is dropped" }];

test.each<[Numbers, string]>([
  [{}, "No difference in 1 000 rows, 5 columns."],
  [{ schema: dropped }, "No row differs (1 000 rows, 5 columns); 1 column dropped."],
  [{ modified: 1 }, "1 of 1 000 rows differs in 2 columns."],
  [{ modified: 1000 }, "All 1 000 rows differ in 2 columns."],
  [{ added: 1, modified: 999, after: 1001 }, "1 000 of 1 001 rows differ: 1 added, 999 modified in 2 columns."],
  [{ added: 12, after: 1012 }, "12 rows added to 1 000."],
  [{ removed: 3, after: 997 }, "3 of 1 000 rows removed."],
  [{ removed: 1, added: 2, modified: 11, after: 1001 }, "14 of 1 002 rows differ: 2 added, 1 removed, 11 modified in 2 columns."],
  [{ removed: 1000, added: 5, after: 5 }, "All 1 005 rows differ: 5 added, 1 000 removed."],
  [{ before: 0, added: 1_048_576, after: 1_048_576 }, "1 048 576 rows added to none."],
  [{ removed: 1000, after: 0 }, "All 1 000 rows are removed."],
  [{ before: 1, removed: 1, after: 0 }, "The only row is removed."],
])("%o is «%s»", (numbers, expected) => {
  expect(said(numbers)).toBe(expected);
});

test("thousands are parted, and one is not many", () => {
  expect([grouped(999), grouped(1000), grouped(1234567), grouped(12345.678), grouped(10n ** 12n)]).toEqual([
    "999",
    "1 000",
    "1 234 567",
    "12 345.678",
    "1 000 000 000 000",
  ]);
  expect([counted(1, "row"), counted(0, "row"), counted(2, "key")]).toEqual(["1 row", "0 rows", "2 keys"]);
});
