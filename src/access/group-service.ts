import { mutate } from "../audit/mutation.ts";
import type { Tx } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import type { AccessDeps } from "./access-deps.ts";
import { checkPrincipalName, refuseTaken } from "./name.ts";
import { getPerson } from "./person-service.ts";

/** Adds a group, which may own datasets like a person. */
export async function addGroup(
  deps: AccessDeps,
  actor: string,
  group: { name: string; members: readonly string[] },
): Promise<{ id: string }> {
  checkPrincipalName(group.name);
  return mutate(deps, actor, async (m) => {
    await refuseTaken(m.tx, group.name);
    const id = deps.ids.next("grp");
    await m.tx.insertInto("groups").values({ id, name: group.name, created_at: m.at }).execute();
    await putMembers(m.tx, id, group.members);
    m.record({ action: "group.add", subject: group.name, payload: { members: group.members } });
    return { id };
  });
}

/** Adds and removes members of a group. */
export async function setGroup(
  deps: AccessDeps,
  actor: string,
  edit: { name: string; add: readonly string[]; remove: readonly string[] },
): Promise<void> {
  await mutate(deps, actor, async (m) => {
    const group = await m.tx.selectFrom("groups").select("id").where("name", "=", edit.name).forUpdate().executeTakeFirst();
    if (group === undefined)
      throw new AppError("group.not_found", `There is no group ${edit.name}.`, { found: edit.name, hint: "tidegate group list" });
    await putMembers(m.tx, group.id, edit.add);
    if (edit.remove.length > 0) {
      const persons = m.tx
        .selectFrom("persons")
        .select("id")
        .where("name", "in", [...edit.remove]);
      await m.tx.deleteFrom("group_members").where("group_id", "=", group.id).where("person_id", "in", persons).execute();
    }
    m.record({ action: "group.set", subject: edit.name, payload: { add: edit.add, remove: edit.remove } });
  });
}

async function putMembers(tx: Tx, groupId: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const person = await getPerson(tx, name);
    await tx
      .insertInto("group_members")
      .values({ group_id: groupId, person_id: person.id })
      .onConflict((oc) => oc.doNothing())
      .execute();
  }
}

/** All groups with their members, by name. */
export async function listGroups(deps: Pick<AccessDeps, "db">): Promise<{ name: string; members: string[] }[]> {
  const groups = await deps.db.selectFrom("groups").select(["id", "name"]).orderBy("name").execute();
  const members = await deps.db
    .selectFrom("group_members")
    .innerJoin("persons", "persons.id", "group_members.person_id")
    .select(["group_members.group_id", "persons.name"])
    .orderBy("persons.name")
    .execute();
  return groups.map((group) => ({ name: group.name, members: members.filter((row) => row.group_id === group.id).map((row) => row.name) }));
}
