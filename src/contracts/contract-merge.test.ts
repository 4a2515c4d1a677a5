import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../lib/json.ts";
import type { Contract, ContractProperty } from "./contract.ts";
import { mergeContracts } from "./contract-merge.ts";

type Loose = Record<string, unknown>;

function contract(parts: { fare?: Loose; tip?: Loose | null; table?: Loose; top?: Loose } = {}): Contract {
  const property = (name: string, id: number, more: Loose): ContractProperty => ({
    name,
    logicalType: "number",
    physicalType: "double",
    required: false,
    customProperties: [{ property: "tidegate.fieldId", value: id }],
    ...more,
  });
  const properties = [property("fare", 1, parts.fare ?? {}), ...(parts.tip === null ? [] : [property("tip", 2, parts.tip ?? {})])];
  return {
    apiVersion: "v3.1.0",
    kind: "DataContract",
    id: "ds_1",
    version: "1.0.0",
    status: "active",
    schema: [{ name: "taxi.rides", logicalType: "object", physicalType: "table", properties, ...parts.table }],
    team: { members: [{ username: "ana", role: "owner" }] },
    ...parts.top,
  };
}

const rule = (id: string, mustBe: number): Loose => ({ id, metric: "nullValues", mustBe });
const merged = (...sides: [Contract, Contract, Contract]): Contract => {
  const result = mergeContracts(...sides);
  if (result.kind === "conflicts") throw new Error(JSON.stringify(result.conflicts));
  return result.contract;
};
const conflicts = (...sides: [Contract, Contract, Contract]) => {
  const result = mergeContracts(...sides);
  return result.kind === "conflicts" ? result.conflicts : [];
};

describe("what one side changed is taken over", () => {
  test("edits of different columns, of the table and of the team", () => {
    const ours = contract({
      fare: { logicalTypeOptions: { minimum: 0 } },
      top: { team: { members: [{ username: "bo", role: "owner" }] } },
    });
    const theirs = contract({ tip: { required: true }, table: { quality: [rule("rows", 1)] } });
    expect(merged(contract(), ours, theirs)).toEqual(
      contract({
        fare: { logicalTypeOptions: { minimum: 0 } },
        tip: { required: true },
        table: { quality: [rule("rows", 1)] },
        top: { team: { members: [{ username: "bo", role: "owner" }] } },
      }),
    );
  });

  test("rules of one column, added on both sides, one changed and one removed", () => {
    const base = contract({ fare: { quality: [rule("a", 0), rule("b", 0)] } });
    const ours = contract({ fare: { quality: [rule("a", 5), rule("b", 0), rule("mine", 1)] } });
    const theirs = contract({ fare: { quality: [rule("a", 0), rule("theirs", 2)] } });
    expect(merged(base, ours, theirs).schema[0]?.properties[0]?.["quality"]).toEqual([rule("a", 5), rule("theirs", 2), rule("mine", 1)]);
  });

  test("options of one type are rules of their own", () => {
    const [ours, theirs] = [
      contract({ fare: { logicalTypeOptions: { minimum: 0 } } }),
      contract({ fare: { logicalTypeOptions: { maximum: 9 } } }),
    ];
    expect(merged(contract(), ours, theirs).schema[0]?.properties[0]?.["logicalTypeOptions"]).toEqual({ maximum: 9, minimum: 0 });
  });

  test("a column renamed on one side and given a rule on the other has both: columns go by field id", () => {
    const ours = contract({ fare: { name: "price" } });
    const theirs = contract({ fare: { required: true } });
    expect(merged(contract(), ours, theirs).schema[0]?.properties[0]).toMatchObject({ name: "price", required: true });
  });

  test("a column that one side dropped leaves the contract", () => {
    expect(merged(contract(), contract({ tip: null }), contract({ fare: { required: true } })).schema[0]?.properties).toHaveLength(1);
  });

  test("of two new numbers of the document the greater stays", () => {
    const at = (version: string) => contract({ top: { version } });
    expect(merged(at("1.0.0"), at("1.10.0"), at("1.9.0")).version).toBe("1.10.0");
  });
});

describe("one thing changed differently on both sides is a conflict, named as people name it", () => {
  test.each<[string, Parameters<typeof contract>[0], Parameters<typeof contract>[0], string]>([
    ["a rule with an id", { fare: { quality: [rule("a", 1)] } }, { fare: { quality: [rule("a", 2)] } }, "rule fare/a"],
    ["an option", { fare: { logicalTypeOptions: { minimum: 1 } } }, { fare: { logicalTypeOptions: { minimum: 2 } } }, "rule fare/minimum"],
    ["a rule of the table", { table: { quality: [rule("r", 1)] } }, { table: { quality: [rule("r", 2)] } }, "rule r"],
    ["a classification", { fare: { classification: "pii" } }, { fare: { classification: "public" } }, "column fare: classification"],
    ["the status", { top: { status: "draft" } }, { top: { status: "retired" } }, "status"],
    [
      "a service level",
      { top: { slaProperties: [{ property: "latency", value: 1, unit: "d" }] } },
      { top: { slaProperties: [{ property: "latency", value: 2, unit: "d" }] } },
      "service level latency",
    ],
    [
      "an owner's role",
      { top: { team: { members: [{ username: "ana", role: "reader" }] } } },
      { top: { team: { members: [{ username: "ana", role: "steward" }] } } },
      "member ana",
    ],
  ])("%s", (_name, ours, theirs, item) => {
    expect(
      conflicts(contract({ fare: { quality: [rule("a", 0)] } }), contract(ours), contract(theirs)).map((found) => found.item),
    ).toContain(item);
  });

  test("a rule removed on one side and changed on the other", () => {
    const base = contract({ fare: { quality: [rule("a", 0), rule("b", 0)] } });
    const [ours, theirs] = [contract({ fare: { quality: [rule("b", 0)] } }), contract({ fare: { quality: [rule("a", 3), rule("b", 0)] } })];
    expect(conflicts(base, ours, theirs)).toEqual([{ item: "rule fare/a", reason: "removed by the change, changed on the other side" }]);
  });

  test("a column dropped on one side and given a rule on the other", () => {
    expect(conflicts(contract(), contract({ tip: null }), contract({ tip: { required: true } }))).toEqual([
      { item: "column tip", reason: "removed by the change, changed on the other side" },
    ]);
  });
});

test("laws: one side alone wins whole; both sides the same is that; who is ours makes no difference to what conflicts", () => {
  const some = fc.record({
    fare: fc.record({
      required: fc.boolean(),
      quality: fc.array(
        fc.nat(3).map((n) => rule(`r${n % 3}`, n)),
        { maxLength: 3 },
      ),
    }),
    tip: fc.option(fc.record({ classification: fc.constantFrom("pii", "public") })),
    top: fc.record({ status: fc.constantFrom("active", "draft"), tags: fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 2 }) }),
  });
  fc.assert(
    fc.property(some, some, some, (a, b, c) => {
      const [base, one, two] = [contract(a), contract(b), contract(c)];
      expect(canonicalJson(merged(base, one, base))).toBe(canonicalJson(one));
      expect(canonicalJson(merged(base, base, one))).toBe(canonicalJson(one));
      expect(canonicalJson(merged(base, one, one))).toBe(canonicalJson(one));
      const names = (found: { item: string }[]): string[] => found.map(({ item }) => item).toSorted();
      expect(names(conflicts(base, one, two))).toEqual(names(conflicts(base, two, one)));
    }),
    { numRuns: 300 },
  );
});
