import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compiled } from "../../test/harness/compiled.ts";
import { duckdbSandbox } from "../engine/duckdb/sandbox/duckdb-sandbox.ts";
import type { Sandbox } from "../engine/sandbox.ts";
import type { PrimitiveType } from "../lake/schema.ts";
import { maskedOf } from "./masked-columns.ts";

/* Which columns of a result show values of masked columns, also where a query tries to carry them into another column. */

const table = (name: string, columns: Record<string, PrimitiveType>) => ({
  name,
  columns: Object.entries(columns).map(([column, type]) => ({ name: column, type })),
});
const tables = [
  table("hr.staff", { id: "long", email: "string", salary: "int", region: "string", hours: "int" }),
  table("hr.letters", { letter: "string", n: "int" }),
  table("hr.mails", { id: "long", email: "string", note: "string" }),
];
const masked = [
  { name: "hr.staff", masked: ["email", "salary"] },
  { name: "hr.letters", masked: [] },
  { name: "hr.mails", masked: ["email"] },
];

let root: string;
let sandbox: Sandbox;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tidegate-masked-"));
  sandbox = duckdbSandbox({ tempDir: root, size: 1, memoryMb: 256, threads: 1, entry: compiled("engine/duckdb/sandbox/child.ts") });
});
afterAll(async () => {
  await sandbox.close();
  rmSync(root, { recursive: true, force: true });
});

async function hidden(sql: string): Promise<string[] | "all"> {
  const derivation = await sandbox.derivation({ sql, tables, milliseconds: 60_000 });
  const found = maskedOf(derivation, masked);
  return found === undefined ? "all" : [...found].sort();
}

test.each<[string, string[]]>([
  // Numbers about rows stay readable.
  ["select count(*) as n, max(email) as last, avg(salary) as pay from staff", ["last", "pay"]],
  ["select email, count(*) as n, sum(hours) as hours from staff group by email", ["email"]],
  ["select substr(email, 1, 1) as first, count(*) as n from staff group by 1", ["first"]],
  ["select region, count(*) as n from staff where email like '%@x.org' and salary > 10 group by region", []],
  ["select region as r, count(*) as n from staff s where s.email is not null group by all", []],
  // Under another name, in an expression, in a query within the query.
  ["select email as region, region as email from staff", ["region"]],
  ["select id, case when email like 'a%' then 1 else 0 end as bit, hours from staff", ["bit"]],
  ["select id, s.email || '' as e, e || '!' as again from staff s where s.salary > 3", ["again", "e"]],
  ["with t as (select id, email as e from staff) select id, e, length(e) as l from t", ["e", "l"]],
  ["select id, (select max(m.email) from mails m where m.id = s.id) as e, hours from staff s", ["e"]],
  ["select region, string_agg(email, ',' order by id) as all_of, count(*) as n from staff group by region", ["all_of"]],
  [
    "select region, string_agg(region order by email) as o, count(*) filter (where salary > 5) as rich from staff group by region",
    ["o", "rich"],
  ],
  ["select id, row_number() over (order by salary) as rank, hours from staff", ["rank"]],
  ["select s.id, s.hours, m.email as mail from staff s join mails m on m.id = s.id", ["mail"]],
  ["select * from staff", ["email", "salary"]],
  ["select note, 'x' as email from mails", []],
])("%s hides %j", async (sql, expected) => {
  expect(await hidden(sql)).toEqual(expected);
});

test.each([
  // Whatever is joined or compared with a masked column can say its value.
  "select s.id, l.letter from staff s join letters l on substr(s.email, 1, 1) = l.letter",
  "select s.id, l.letter from staff s, letters l where substr(s.email, 1, 1) = l.letter",
  "select s.id, l.letter from staff s, letters l where (l.n = 1 and email like 'a%') or (l.n = 2 and email like 'b%')",
  "select s.id, i.range as pay from staff s, range(100000) i where i.range = s.salary",
  "select s.id, count(*) as pay from staff s, range(s.salary) i group by s.id",
  "select s.id, count(*) as pay from staff s join range(100000) i on i.range < s.salary group by s.id",
  "select s.id, max(l.letter) as m from staff s, letters l group by s.id, substr(email, 1, 1) = l.letter",
  "select s.id, max(l.letter) as m, substr(email, 1, 1) = l.letter as k from staff s, letters l group by all",
  "select s.id, l.letter, substr(email, 1, 1) = l.letter as k from staff s, letters l where k",
  "select s.id, l.letter, substr(email, 1, 1) = l.letter as k, not k as k2 from staff s, letters l where not k2",
  "select s.id, l.letter from staff s, letters l group by 1, 2 having max(substr(email, 1, 1)) = l.letter",
  "select s.id, l.letter from staff s, letters l qualify row_number() over (partition by s.id order by substr(email, 1, 1) = l.letter desc) = 1",
  "select id, hours from staff order by salary limit 1",
  "select distinct on (email) id, hours from staff",
  "select m.note, s.id from staff s join mails m using (email)",
  "select m.note, s.id from staff s natural join mails m",
  "select 'a' as letter, id from staff where email like 'a%' union all select 'b', id from staff where email like 'b%'",
  "with t as (select id from staff where email like 'a%') select s.id, t.id is not null as bit from staff s left join t on s.id = t.id",
  "select t.id from (select id from staff where salary > 5) t",
  "select id, exists(select 1 from mails m where m.email = 'x' and m.id = s.id) as bit, hours from staff s",
  "select s from staff s where s.salary > 5",
  "select x.a, x.b from staff as x(a, b, c) where x.c > 5",
  "select #1, hours from staff where salary > 5",
])("%s hides all of it", async (sql) => {
  expect(await hidden(sql)).toBe("all");
});
