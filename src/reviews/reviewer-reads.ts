import type { Reader } from "../db/db.ts";
import { isAtLeast, personsOf, type Role } from "../access/principal.ts";
import type { Reviewer } from "./review.ts";

/** Persons who can act, with what deciding needs to know of them. Services are none: a second token is no second person. */
export async function reviewersIn(db: Reader): Promise<Reviewer[]> {
  const persons = await db
    .selectFrom("persons")
    .select(["id", "name", "role"])
    .where("disabled_at", "is", null)
    .where("is_service", "=", false)
    .orderBy("name")
    .execute();
  const members = await db
    .selectFrom("group_members")
    .innerJoin("groups", "groups.id", "group_members.group_id")
    .select(["group_members.person_id", "groups.name"])
    .orderBy("groups.name")
    .execute();
  const groups = new Map<string, string[]>();
  for (const { person_id: id, name } of members) groups.set(id, [...(groups.get(id) ?? []), name]);
  return persons.map((person) => ({
    name: person.name,
    mayReview: isAtLeast(person.role as Role, "reviewer"),
    isAdmin: person.role === "admin",
    groups: groups.get(person.id) ?? [],
  }));
}

/** The persons who wrote to a change. A record such as `root as ana` names two: the one who acted, and the one acted for. */
export async function authorsOf(db: Reader, changeId: string): Promise<string[]> {
  const rows = await db.selectFrom("change_authors").select("author").where("change_id", "=", changeId).execute();
  return [...new Set(rows.flatMap((row) => personsOf(row.author)))].sort();
}

/** Whether nobody but services wrote to a change. */
export async function isOfServices(db: Reader, authors: readonly string[]): Promise<boolean> {
  if (authors.length === 0) return false;
  const rows = await db
    .selectFrom("persons")
    .select("name")
    .where("name", "in", [...authors])
    .where("is_service", "=", true)
    .execute();
  return rows.length === authors.length;
}
