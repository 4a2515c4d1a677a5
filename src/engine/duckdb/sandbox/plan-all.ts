import { asAppError } from "../../../lib/errors.ts";
import { toJson } from "../../../lib/json.ts";
import type { PlannedQuery, PlanTable, SandboxCaps } from "../../sandbox.ts";
import type { Job, Message } from "./protocol.ts";

interface Request {
  queries: readonly { sql: string; tables: readonly PlanTable[] }[];
}

type Runs = (job: Job) => AsyncIterable<Message | string[]>;
type JobBase = (caps: SandboxCaps) => Omit<Job, "kind" | "sql" | "tables">;

/** Memory in MB for plans alone: there is no data. */
const memoryMb = 256;

/**
 * Plans queries on one schema in one child process. A query that takes too long, or kills the child, is told as such, and the others go on in another child.
 */
export async function planAll(run: Runs, base: JobBase, { queries }: Request): Promise<PlannedQuery[]> {
  const planned = new Map<number, PlannedQuery>();
  const groups = groupByTables(queries);
  const order = groups.flatMap((group) => group.queries.map(({ index }) => index));
  while (planned.size < queries.length) {
    const left = groups
      .map((group) => ({ ...group, queries: group.queries.filter(({ index }) => !planned.has(index)) }))
      .filter((group) => group.queries.length > 0);
    const caps = { rows: 0, bytes: 1 << 28, memoryMb, milliseconds: 0 };
    try {
      for await (const message of run({ ...base(caps), kind: "plans", sql: "", tables: [], plans: left })) {
        if ("say" in message && message.say === "planned") planned.set(message.index, message.planned);
      }
    } catch (error) {
      const { code, message } = asAppError(error);
      const stuck = order.find((index) => !planned.has(index));
      if (stuck === undefined || (code !== "sql.limit" && code !== "sql.crashed")) throw error;
      planned.set(stuck, { ok: false, code, message });
    }
  }
  return queries.map((_, index) => planned.get(index) as PlannedQuery);
}

function groupByTables(queries: Request["queries"]): { tables: readonly PlanTable[]; queries: { index: number; sql: string }[] }[] {
  const groups = new Map<string, { tables: readonly PlanTable[]; queries: { index: number; sql: string }[] }>();
  for (const [index, { sql, tables }] of queries.entries()) {
    const key = toJson(tables);
    const group = groups.get(key) ?? { tables, queries: [] };
    group.queries.push({ index, sql });
    groups.set(key, group);
  }
  return [...groups.values()];
}
