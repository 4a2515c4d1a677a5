/*
 * A little shop as plain rows, what queries and rules say of it computed by hand, and mutants of it. It shares nothing with the product: it is the
 * oracle of the mutants' test.
 */

import { seeded } from "./seeded.ts";

export interface Order {
  id: number;
  customer: number;
  region: string;
  /** Cents. */
  amount: number;
  weight: number;
  /** Minutes since the first of October. */
  placed: number;
  coupon: string | null;
  /** Cents. */
  discount: number | null;
  code: string;
}

export interface Shop {
  orders: Order[];
  customers: { id: number; country: string }[];
  /** One line per code and place. */
  regions: string[];
}

export const regionCodes = ["at", "be", "ch", "de", "es"];
export const dayOf = (minutes: number): number => Math.floor(minutes / 1440);
export const money = (cents: number | null): string => (cents === null ? "" : (cents / 100).toFixed(2));
/** A moment as SQL and CSV read it. */
export const timeText = (minutes: number): string =>
  new Date(Date.UTC(2026, 9, 1) + minutes * 60_000).toISOString().replace("T", " ").slice(0, 19);

export function makeShop(seed: number, count: number): Shop {
  const random = seeded(seed);
  const below = (most: number): number => Math.floor(random() * most);
  const orders = Array.from({ length: count }, (_, at): Order => {
    const amount = 500 + below(40_000);
    return {
      id: at + 1,
      customer: 1 + below(150),
      region: regionCodes[below(regionCodes.length)] as string,
      amount,
      weight: 0.1 + random() * 30,
      placed: at * 14 + below(14),
      coupon: random() < 0.4 ? null : `C${below(40)}`,
      discount: random() < 0.9 ? null : Math.floor(amount / (2 + below(8))),
      code: `n${below(100_000)}`,
    };
  });
  const customers = Array.from({ length: 160 }, (_, at) => ({ id: at + 1, country: ["Austria", "Belgium", "Chile"][below(3)] as string }));
  return { orders, customers, regions: [...regionCodes] };
}

export const ordersCsv = (orders: readonly Order[]): string =>
  [
    "id,customer,region,amount,weight,placed_at,coupon,discount,code,touched",
    ...orders.map((o) =>
      [o.id, o.customer, o.region, money(o.amount), o.weight, timeText(o.placed), o.coupon ?? "", money(o.discount), o.code, 0].join(","),
    ),
    "",
  ].join("\n");

// results --------------------------------------------------------------------------------------------------------------

export type Value = number | string | null;

/** Rows in order; `ordered` says whether the order counts. `error`: the query cannot run. */
export type Result = { rows: Value[][]; ordered: boolean } | "error";

export const add = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
export const parsed = (code: string): number | undefined => (/^\d+$/.test(code.slice(1)) ? Number(code.slice(1)) : undefined);

export function grouped<T>(rows: readonly T[], keyOf: (row: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) groups.set(keyOf(row), [...(groups.get(keyOf(row)) ?? []), row]);
  return groups;
}

/** What each stored query of the shop gives, by the name of its test. */
export const shopResults: Readonly<Record<string, (shop: Shop) => Result>> = {
  ordered: ({ orders }) => ({
    ordered: true,
    rows: orders
      .filter(({ id }) => id <= 400)
      .toSorted((a, b) => a.placed - b.placed || a.id - b.id)
      .map((o) => [o.region, o.amount]),
  }),
  unordered: ({ orders }) => ({
    ordered: false,
    rows: orders
      .filter(({ region }) => region === "at" || region === "ch")
      .map((o) => [o.id, o.customer, o.amount, o.weight, o.coupon, o.discount]),
  }),
  aggregate: ({ orders }) => {
    const discounts = orders.flatMap(({ discount }) => discount ?? []);
    const weight = add(orders.map((o) => o.weight)) / orders.length;
    return { ordered: false, rows: [[orders.length, add(orders.map((o) => o.amount)), weight, discounts.length, add(discounts)]] };
  },
  "by day": ({ orders }) => ({
    ordered: false,
    rows: [...grouped(orders, (o) => String(dayOf(o.placed)))].map(([day, rows]) => [day, rows.length]),
  }),
  join: ({ orders, customers }) => {
    const countries = new Map(customers.map(({ id, country }) => [id, country]));
    const joined = orders.filter(({ customer }) => countries.has(customer));
    return {
      ordered: false,
      rows: [...grouped(joined, (o) => countries.get(o.customer) ?? "")].map(([country, rows]) => [
        country,
        rows.length,
        add(rows.map((o) => o.amount)),
      ]),
    };
  },
  cast: ({ orders }) => {
    const numbers = orders.map(({ code }) => parsed(code));
    return numbers.includes(undefined) ? "error" : { ordered: false, rows: [[add(numbers as number[])]] };
  },
  "fan out": ({ orders, regions }) => ({
    ordered: false,
    rows: [[orders.filter(({ id, region }) => id <= 500 && regions.includes(region)).length]],
  }),
  command: ({ orders }) => ({
    ordered: false,
    rows: [[orders.length, add(orders.map((o) => o.amount)), add(orders.map((o) => o.weight))]],
  }),
};

function close(a: Value, b: Value): boolean {
  if (typeof a !== "number" || typeof b !== "number") return a === b;
  return a === b || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}

/** What the pair of results shows. */
export function outcomeOf(before: Result, after: Result): "same" | "moved" | "broken" | "already_broken" | "fixed" {
  if (before === "error") return after === "error" ? "already_broken" : "fixed";
  if (after === "error") return "broken";
  if (before.rows.length !== after.rows.length) return "moved";
  const sorted = ({ rows, ordered }: typeof before): Value[][] =>
    ordered ? rows : rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const [was, is] = [sorted(before), sorted(after)];
  return was.every((row, at) => row.every((value, column) => close(value, is[at]?.[column] ?? null))) ? "same" : "moved";
}

// rules ----------------------------------------------------------------------------------------------------------------

interface Pair {
  before: Shop;
  after: Shop;
  /** Orders that the mutant adds or modifies. */
  added: readonly Order[];
  /** Minutes since the first of October, at the time of the check. */
  now: number;
}

function pairOf(before: Shop, after: Shop, now: number): Pair {
  const known = new Map(before.orders.map((order) => [order.id, JSON.stringify(order)]));
  return { before, after, added: after.orders.filter((order) => known.get(order.id) !== JSON.stringify(order)), now };
}

const shareOf = (orders: readonly Order[], region: string): number => orders.filter((o) => o.region === region).length / orders.length;
const quantile = (values: readonly number[], at: number): number => values.toSorted((a, b) => a - b)[Math.floor(at * values.length)] ?? 0;

export function isScaled(before: readonly number[], added: readonly number[]): boolean {
  if (added.length < 100) return false;
  const ratios = [0.2, 0.5, 0.8].map((at) => quantile(added, at) / quantile(before, at));
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  return low > 0 && high / low < 1.1 && (low > 1.2 || high < 0.8);
}

/** Largest gap between the two distributions. */
function gap(before: readonly number[], added: readonly number[]): number {
  const share = (values: readonly number[], at: number): number => values.filter((value) => value <= at).length / values.length;
  return Math.max(
    ...Array.from({ length: 21 }, (_, at) => quantile(before, at / 21)).map((at) => Math.abs(share(before, at) - share(added, at))),
  );
}

const content = ({ id: _id, ...order }: Order): string => JSON.stringify(order);

/** Whether each rule of the contract holds, by its id. */
export const shopRules: Readonly<Record<string, (pair: Pair) => boolean>> = {
  positive: ({ added }) => added.every(({ amount }) => amount >= 1 && amount <= 100_000),
  "known region": ({ added }) => added.every(({ region }) => regionCodes.includes(region)),
  "discount nulls": ({ after: { orders } }) => {
    const share = orders.filter(({ discount }) => discount === null).length / orders.length;
    return share >= 0.85 && share <= 0.95;
  },
  "once per moment": ({ after: { orders } }) => new Set(orders.map((o) => `${o.customer} ${o.placed}`)).size === orders.length,
  volume: ({ before, after }) => after.orders.length >= 0.9 * before.orders.length,
  fresh: ({ after: { orders }, now }) => now - Math.max(...orders.map(({ placed }) => placed)) <= 53 * 60,
  "discount below amount": ({ after: { orders } }) => orders.every(({ discount, amount }) => discount === null || discount <= amount),
  "amount unit": ({ before, added }) =>
    !isScaled(
      before.orders.map((o) => o.amount),
      added.map((o) => o.amount),
    ),
  "weight unit": ({ before, added }) =>
    !isScaled(
      before.orders.map((o) => o.weight),
      added.map((o) => o.weight),
    ),
  "weight drift": ({ before, added }) =>
    added.length < 100 ||
    gap(
      before.orders.map((o) => o.weight),
      added.map((o) => o.weight),
    ) < 0.2,
  "region drift": ({ before, added }) =>
    added.length < 100 || regionCodes.every((region) => Math.abs(shareOf(before.orders, region) - shareOf(added, region)) < 0.2),
  "content twice": ({ before, added }) => {
    const known = new Set(before.orders.map(content));
    return added.length < 100 || added.filter((order) => known.has(content(order))).length * 2 <= added.length;
  },
  customer: ({ after: { orders, customers } }) => orders.every(({ customer }) => customers.some(({ id }) => id === customer)),
};

/** Ids of the rules that a mutant breaks. */
export function brokenRules(before: Shop, after: Shop, now: number): string[] {
  const pair = pairOf(before, after, now);
  return Object.entries(shopRules).flatMap(([id, holds]) => (holds(pair) ? [] : [id]));
}

// mutants --------------------------------------------------------------------------------------------------------------

export interface Mutant {
  name: string;
  /** Statements, each on the dataset that it begins with. */
  sql: { dataset: string; text: string }[];
  after: Shop;
  /** The test that becomes slow by it. */
  slower?: string;
  /** Another seed hits another place. */
  isPlaced?: boolean;
}

/** Seeded mutants of the tables: as SQL for the product, and as rows for the oracle. */
export function tableMutants(shop: Shop, seed: number): Mutant[] {
  const random = seeded(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const orders = (text: string) => [{ dataset: "shop.orders", text: text.replace(/^(update|delete from|insert into)/, "$1 shop.orders") }];
  const with_ = (change: (order: Order) => Order): Shop => ({ ...shop, orders: shop.orders.map(change) });
  const one = (id: number, part: (order: Order) => Partial<Order>): Shop => with_((o) => (o.id === id ? { ...o, ...part(o) } : o));
  const all = (part: (order: Order) => Partial<Order>): Shop => with_((o) => ({ ...o, ...part(o) }));
  const early = shop.orders.filter(({ id }) => id <= 400);
  const cell = pick(shop.orders);
  const sign = pick(shop.orders);
  const at = pick(early.slice(1, -1));
  const next = shop.orders.find(({ id }) => id === at.id + 1) as Order;
  const given = pick(shop.orders.filter(({ discount }) => discount !== null));
  const missing = pick(shop.orders.filter(({ discount }) => discount === null));
  const lost = pick(shop.orders);
  const twice = pick(shop.orders);
  const code = pick(shop.orders);
  const gone = pick(shop.customers.filter(({ id }) => shop.orders.some(({ customer }) => customer === id)));
  const region = pick(regionCodes);
  const batch = shop.orders.slice(0, 500);
  const set = (id: number, text: string) => orders(`update set ${text} where id = ${id}`);
  return [
    {
      name: "one cell",
      isPlaced: true,
      sql: set(cell.id, "amount = amount + 1"),
      after: one(cell.id, (o) => ({ amount: o.amount + 100 })),
    },
    {
      name: "one double, by 1e-12",
      sql: set(cell.id, "weight = weight * (1 + 1e-12)"),
      after: one(cell.id, (o) => ({ weight: o.weight * (1 + 1e-12) })),
    },
    { name: "one sign", isPlaced: true, sql: set(sign.id, "amount = -amount"), after: one(sign.id, (o) => ({ amount: -o.amount })) },
    {
      name: "order of two",
      isPlaced: true,
      sql: orders(
        `update set placed_at = case id when ${at.id} then timestamp '${timeText(next.placed)}' else timestamp '${timeText(at.placed)}' end where id in (${at.id}, ${next.id})`,
      ),
      after: with_((o) => (o.id === at.id ? { ...o, placed: next.placed } : o.id === next.id ? { ...o, placed: at.placed } : o)),
    },
    { name: "0 for NULL, one", isPlaced: true, sql: set(missing.id, "discount = 0"), after: one(missing.id, () => ({ discount: 0 })) },
    {
      name: "NULL for a value, one",
      isPlaced: true,
      sql: set(given.id, "discount = null"),
      after: one(given.id, () => ({ discount: null })),
    },
    {
      name: "0 for NULL, all",
      sql: orders("update set discount = 0 where discount is null"),
      after: all((o) => ({ discount: o.discount ?? 0 })),
    },
    {
      name: "a row lost",
      isPlaced: true,
      sql: orders(`delete from where id = ${lost.id}`),
      after: { ...shop, orders: shop.orders.filter((o) => o !== lost) },
    },
    {
      name: "a region lost",
      sql: orders(`delete from where region = '${region}'`),
      after: { ...shop, orders: shop.orders.filter((o) => o.region !== region) },
    },
    {
      name: "a row twice",
      isPlaced: true,
      sql: orders(`insert into select * replace (id + 100000 as id) from shop.orders where id = ${twice.id}`),
      after: { ...shop, orders: [...shop.orders, { ...twice, id: twice.id + 100_000 }] },
    },
    {
      name: "a batch twice",
      sql: orders("insert into select * replace (id + 200000 as id) from shop.orders where id <= 500"),
      after: { ...shop, orders: [...shop.orders, ...batch.map((o) => ({ ...o, id: o.id + 200_000 }))] },
    },
    { name: "amounts × 100", sql: orders("update set amount = amount * 100"), after: all((o) => ({ amount: o.amount * 100 })) },
    { name: "weights × 2.2046", sql: orders("update set weight = weight * 2.2046"), after: all((o) => ({ weight: o.weight * 2.2046 })) },
    {
      name: "times − 2 h",
      sql: orders("update set placed_at = placed_at - interval 2 hour"),
      after: all((o) => ({ placed: o.placed - 120 })),
    },
    {
      name: "one region for all",
      sql: orders(`update set region = '${region}'`),
      after: all(() => ({ region })),
    },
    { name: "an unknown region", sql: set(cell.id, "region = 'xx'"), after: one(cell.id, () => ({ region: "xx" })) },
    { name: "a code that is no number", sql: set(code.id, "code = 'n/a'"), after: one(code.id, () => ({ code: "n/a" })) },
    {
      name: "a customer lost",
      isPlaced: true,
      sql: [{ dataset: "shop.customers", text: `delete from shop.customers where id = ${gone.id}` }],
      after: { ...shop, customers: shop.customers.filter((item) => item !== gone) },
    },
    {
      name: "regions × 13",
      sql: [
        {
          dataset: "shop.regions",
          text: "insert into shop.regions select code, place || i from shop.regions, range(12) t(i)",
        },
      ],
      after: { ...shop, regions: [...shop.regions, ...shop.regions.flatMap((item) => Array.from({ length: 12 }, () => item))] },
      slower: "fan out",
    },
    { name: "a column that nobody reads", sql: set(cell.id, "touched = 1"), after: shop },
  ];
}
