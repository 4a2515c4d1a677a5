import pg from "pg";

type Parser = (text: string) => unknown;

const standard = pg.types.getTypeParser as (oid: number, format?: "text" | "binary") => Parser;
const int8 = 20;
const int8Array = 1016;
const textArray = standard(1009) as (text: string) => (string | null)[];

const own: Readonly<Record<number, Parser>> = {
  [int8]: (text) => BigInt(text),
  [int8Array]: (text) => textArray(text).map((item) => (item === null ? null : BigInt(item))),
};

/** How values leave Postgres: bigint keeps every digit, numeric stays text, timestamptz becomes a Date. */
export const pgTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") => own[oid] ?? standard(oid, format)) as pg.CustomTypesConfig["getTypeParser"],
};
