import { sql } from "kysely";
import type { Tx } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";

const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Names of people, groups and consumers: what stands in contracts and commands. */
export function checkPrincipalName(name: string): string {
  if (namePattern.test(name)) return name;
  throw new AppError("name.invalid", `«${name}» cannot be a name.`, {
    expected: "lower-case letters, digits, dot, dash or underscore, at most 63",
    found: name,
    hint: `tidegate person add ${name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-")}`,
  });
}

/** Owners are named in contracts by one word, so a person and a group never share a name. */
export async function refuseTaken(tx: Tx, name: string): Promise<void> {
  // One at a time: two tables hold these names, so no unique index guards both.
  await sql`select pg_advisory_xact_lock(hashtextextended('tidegate principal names', 0))`.execute(tx);
  const person = await tx.selectFrom("persons").select("id").where("name", "=", name).executeTakeFirst();
  if (person !== undefined)
    throw new AppError("person.exists", `There is a person ${name} already.`, {
      expected: "a new name",
      found: name,
      hint: "tidegate person list",
    });
  const group = await tx.selectFrom("groups").select("id").where("name", "=", name).executeTakeFirst();
  if (group !== undefined)
    throw new AppError("group.exists", `There is a group ${name} already.`, {
      expected: "a new name",
      found: name,
      hint: "tidegate group list",
    });
}
