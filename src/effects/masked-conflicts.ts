import { maskedFieldIds, maskText, type Contract } from "../contracts/contract.ts";
import type { Row } from "../engine/engine.ts";
import type { Schema } from "../lake/schema.ts";
import type { Conflicts } from "./carry.ts";
import { keyFields } from "./keys.ts";

/** Conflicts as people may see them: what any side's contract masks shows no value, neither in rows nor as a key. */
export function maskedConflicts(conflicts: Conflicts, sides: readonly { schema: Schema; contract: Contract }[]): Conflicts {
  const masked = new Set(
    sides.flatMap(({ schema, contract }) => {
      const ids = maskedFieldIds(contract);
      return schema.fields.filter((field) => ids.has(field.id)).map((field) => field.name);
    }),
  );
  const key = sides[0] === undefined ? [] : keyFields(sides[0].schema).map((field) => masked.has(field.name));
  const shown = (row: Row | undefined): Row | undefined =>
    row && Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, masked.has(name) && cell !== null ? maskText : cell]));
  const keys = conflicts.keys.map((item) => ({
    key: item.key.map((cell, index) => (key[index] === true ? maskText : cell)),
    base: shown(item.base),
    ours: shown(item.ours),
    theirs: shown(item.theirs),
  }));
  return { ...conflicts, keys };
}
