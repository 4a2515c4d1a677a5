import { add, dayOf, grouped, isScaled, parsed, timeText, type Mutant, type Order, type Result } from "./mutant-model.ts";
import { seeded } from "./seeded.ts";

/* What is made of the little shop by one SELECT, a line per region and day, by hand again; and mutants of that SELECT's result. */

interface Line {
  region: string;
  day: number;
  bucket: string;
  orders: number;
  revenue: number;
  weight: number;
  discount: number | null;
  latest: number;
  code: string;
}

export const martSql = `select region, date_trunc('day', placed_at) as day, region || '-' || cast(min(id) as varchar) as bucket, count(*) as orders,
  cast(sum(amount) as decimal(18, 2)) as revenue, avg(weight) as weight, cast(sum(discount) as decimal(18, 2)) as discount, max(placed_at) as latest, min(code) as code
from shop.orders group by region, date_trunc('day', placed_at)`;

export function martOf(orders: readonly Order[]): Line[] {
  return [...grouped(orders, (o) => `${o.region} ${dayOf(o.placed)}`).values()].map((rows): Line => {
    const [first] = rows as [Order];
    const given = rows.flatMap(({ discount }) => discount ?? []);
    return {
      region: first.region,
      day: dayOf(first.placed),
      bucket: `${first.region}-${Math.min(...rows.map(({ id }) => id))}`,
      orders: rows.length,
      revenue: add(rows.map(({ amount }) => amount)),
      weight: add(rows.map(({ weight }) => weight)) / rows.length,
      discount: given.length === 0 ? null : add(given),
      latest: Math.max(...rows.map(({ placed }) => placed)),
      code: rows.map(({ code }) => code).toSorted()[0] as string,
    };
  });
}

/** The stored queries on the mart, as the consumer has them. */
export const martQueries: Readonly<Record<string, string>> = {
  ordered: "select region, revenue from mart.daily order by latest",
  unordered: "select region, day, orders, revenue, weight, discount, latest from mart.daily",
  totals: "select count(*) as n, sum(revenue) as revenue, avg(weight) as weight, count(discount) as discounted from mart.daily",
  join: "select r.place, sum(d.revenue) as revenue from mart.daily d join shop.regions r on d.region = r.code group by r.place",
  cast: "select sum(cast(substr(code, 2) as integer)) as total from mart.daily",
  "self join": `select count(distinct a.region) as n, max(sin(a.orders * s.i)) > 2 as odd
from mart.daily a join mart.daily b on a.bucket = b.bucket join range(2000) s(i) on true`,
};

export const martResults: Readonly<Record<string, (lines: readonly Line[]) => Result>> = {
  ordered: (lines) => ({ ordered: true, rows: lines.toSorted((a, b) => a.latest - b.latest).map((line) => [line.region, line.revenue]) }),
  unordered: (lines) => ({
    ordered: false,
    rows: lines.map((line) => [line.region, line.day, line.orders, line.revenue, line.weight, line.discount, line.latest]),
  }),
  totals: (lines) => ({
    ordered: false,
    rows: [
      [
        lines.length,
        add(lines.map(({ revenue }) => revenue)),
        add(lines.map(({ weight }) => weight)) / lines.length,
        lines.filter(({ discount }) => discount !== null).length,
      ],
    ],
  }),
  join: (lines) => ({
    ordered: false,
    rows: [...grouped(lines, ({ region }) => region)].map(([region, rows]) => [region, add(rows.map(({ revenue }) => revenue))]),
  }),
  cast: (lines) => {
    const numbers = lines.map(({ code }) => parsed(code));
    return numbers.includes(undefined) ? "error" : { ordered: false, rows: [[add(numbers as number[])]] };
  },
  "self join": (lines) => ({ ordered: false, rows: [[new Set(lines.map(({ region }) => region)).size]] }),
  command: (lines) => ({ ordered: false, rows: [[lines.length, add(lines.map(({ revenue }) => revenue))]] }),
};

const linesText = (lines: readonly Line[]): Set<string> => new Set(lines.map((line) => JSON.stringify(line)));

export const martRules: Readonly<Record<string, (before: readonly Line[], after: readonly Line[]) => boolean>> = {
  "each group once": (_before, after) => grouped(after, ({ region, day }) => `${region} ${day}`).size === after.length,
  "revenue positive": (_before, after) => after.every(({ revenue }) => revenue >= 0),
  "as many groups": (before, after) => after.length >= 0.995 * before.length && after.length <= 1.5 * before.length,
  "some without discount": (_before, after) => after.some(({ discount }) => discount === null),
  "revenue unit": (before, after) => {
    const known = linesText(before);
    return !isScaled(
      before.map(({ revenue }) => revenue),
      after.filter((line) => !known.has(JSON.stringify(line))).map(({ revenue }) => revenue),
    );
  },
};

export interface MartMutant extends Pick<Mutant, "name" | "slower" | "isPlaced"> {
  select: string;
  after: Line[];
}

/** Seeded mutants of the mart's result: as SELECT for the product, and as lines for the oracle. */
export function martMutants(lines: readonly Line[], seed: number): MartMutant[] {
  const random = seeded(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const is = ({ region, day }: Line): string => `(region = '${region}' and day = timestamp '${timeText(day * 1440)}')`;
  const kept = (column: string, value: string): string => (/revenue|discount/.test(column) ? `cast(${value} as decimal(18, 2))` : value);
  const replaced = (column: string, value: string): string => `select * replace (${kept(column, value)} as ${column}) from (${martSql})`;
  const only = (target: Line, column: string, value: string): string =>
    replaced(column, `case when ${is(target)} then ${value} else ${column} end`);
  const all = (part: (line: Line) => Partial<Line>): Line[] => lines.map((line) => ({ ...line, ...part(line) }));
  const one = (target: Line, part: Partial<Line>): Line[] => lines.map((line) => (line === target ? { ...line, ...part } : line));
  const byTime = lines.toSorted((a, b) => a.latest - b.latest);
  const place = Math.floor(random() * (byTime.length - 1));
  const [a, b] = [byTime[place] as Line, byTime[place + 1] as Line];
  const [cell, sign, lost, twice, code] = [pick(lines), pick(lines), pick(lines), pick(lines), pick(lines)];
  const given = pick(lines.filter(({ discount }) => discount !== null));
  const missing = pick(lines.filter(({ discount }) => discount === null));
  const swap = `case when ${is(a)} then timestamp '${timeText(b.latest)}' when ${is(b)} then timestamp '${timeText(a.latest)}' else latest end`;
  return [
    { name: "one cell", isPlaced: true, select: only(cell, "revenue", "revenue + 1"), after: one(cell, { revenue: cell.revenue + 100 }) },
    { name: "one sign", isPlaced: true, select: only(sign, "revenue", "-revenue"), after: one(sign, { revenue: -sign.revenue }) },
    {
      name: "order of two",
      isPlaced: true,
      select: replaced("latest", swap),
      after: lines.map((line) => (line === a ? { ...line, latest: b.latest } : line === b ? { ...line, latest: a.latest } : line)),
    },
    { name: "0 for NULL, one", isPlaced: true, select: only(missing, "discount", "0"), after: one(missing, { discount: 0 }) },
    { name: "NULL for a value, one", isPlaced: true, select: only(given, "discount", "null"), after: one(given, { discount: null }) },
    { name: "0 for NULL, all", select: replaced("discount", "coalesce(discount, 0)"), after: all((l) => ({ discount: l.discount ?? 0 })) },
    {
      name: "a row lost",
      isPlaced: true,
      select: `select * from (${martSql}) where not ${is(lost)}`,
      after: lines.filter((line) => line !== lost),
    },
    {
      name: "a row twice",
      isPlaced: true,
      select: `select * from (${martSql}) union all select * from (${martSql}) where ${is(twice)}`,
      after: [...lines, twice],
    },
    { name: "revenue × 100", select: replaced("revenue", "revenue * 100"), after: all(({ revenue }) => ({ revenue: revenue * 100 })) },
    {
      name: "times − 2 h",
      select: replaced("latest", "latest - interval 2 hour"),
      after: all(({ latest }) => ({ latest: latest - 120 })),
    },
    { name: "a code that is no number", select: only(code, "code", "'n/a'"), after: one(code, { code: "n/a" }) },
    {
      name: "one bucket a region",
      select: replaced("bucket", "region"),
      after: all(({ region }) => ({ bucket: region })),
      slower: "self join",
    },
    { name: "the same, said otherwise", select: `select * from (${martSql}) where true`, after: [...lines] },
  ];
}
