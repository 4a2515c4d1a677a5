import { mutate } from "../audit/mutation.ts";
import type { Reader } from "../db/db.ts";
import { AppError } from "../lib/errors.ts";
import type { AccessDeps } from "./access-deps.ts";
import { checkPrincipalName, refuseTaken } from "./name.ts";
import { isAtLeast, type Role } from "./principal.ts";

/** Adds a person, or a service: a job that brings changes under a name of its own, and decides nothing. */
export async function addPerson(
  deps: AccessDeps,
  actor: string,
  person: { name: string; email?: string | undefined; role: Role; service?: boolean | undefined },
): Promise<{ id: string }> {
  const isService = person.service === true;
  checkPrincipalName(person.name);
  requireFittingRole(person.name, person.role, isService);
  return mutate(deps, actor, async (m) => {
    await refuseTaken(m.tx, person.name);
    const id = deps.ids.next("per");
    await m.tx
      .insertInto("persons")
      .values({
        id,
        name: person.name,
        email: person.email ?? null,
        role: person.role,
        created_at: m.at,
        disabled_at: null,
        is_service: isService,
      })
      .execute();
    m.record({ action: "person.add", subject: person.name, payload: { role: person.role, email: person.email, service: isService } });
    return { id };
  });
}

/** A service brings what policy lets through; whoever reviews and merges is a person. */
function requireFittingRole(name: string, role: Role, isService: boolean): void {
  if (!isService || !isAtLeast(role, "reviewer")) return;
  throw new AppError("person.service", `${name} is a service: it brings changes and decides on none.`, {
    expected: "the role viewer or editor",
    found: `the role ${role}`,
    hint: `tidegate person add ${name} --service --role editor`,
  });
}

/** Changes a person's role or bars them from acting. There is always an admin left. */
export async function setPerson(
  deps: AccessDeps,
  actor: string,
  edit: { name: string; role?: Role | undefined; disabled?: boolean | undefined },
): Promise<void> {
  await mutate(deps, actor, async (m) => {
    await m.tx.selectFrom("persons").select("id").where("role", "=", "admin").forUpdate().execute();
    const person = await m.tx.selectFrom("persons").selectAll().where("name", "=", edit.name).forUpdate().executeTakeFirst();
    if (person === undefined) throw personMissing(edit.name);
    const role = (edit.role ?? person.role) as Role;
    requireFittingRole(edit.name, role, person.is_service);
    const disabledAt = edit.disabled === undefined ? person.disabled_at : edit.disabled ? m.at : null;
    await m.tx.updateTable("persons").set({ role, disabled_at: disabledAt }).where("id", "=", person.id).execute();
    const admins = await m.tx.selectFrom("persons").select("id").where("role", "=", "admin").where("disabled_at", "is", null).execute();
    if (admins.length === 0) {
      throw new AppError("auth.denied", `${edit.name} is the last admin.`, {
        expected: "another admin first",
        found: "nobody else who may let people in",
        hint: "tidegate person add <name> --role admin",
      });
    }
    m.record({ action: "person.set", subject: edit.name, payload: { role, disabled: disabledAt !== null } });
  });
}

/** The person of this name; `person.not_found` otherwise. */
export async function getPerson(db: Reader, name: string): Promise<{ id: string }> {
  const row = await db.selectFrom("persons").select("id").where("name", "=", name).executeTakeFirst();
  if (row === undefined) throw personMissing(name);
  return row;
}

function personMissing(name: string): AppError {
  return new AppError("person.not_found", `There is no person ${name}.`, { found: name, hint: "tidegate person list" });
}

export interface PersonLine {
  name: string;
  email: string | null;
  role: Role;
  /** A job with a name of its own, which brings changes and decides on none. */
  isService: boolean;
  createdAt: Date;
  disabledAt: Date | null;
}

/** All persons, by name. */
export async function listPersons({ db }: Pick<AccessDeps, "db">): Promise<PersonLine[]> {
  const rows = await db.selectFrom("persons").selectAll().orderBy("name").execute();
  return rows.map((row) => ({
    name: row.name,
    email: row.email,
    role: row.role as Role,
    isService: row.is_service,
    createdAt: row.created_at,
    disabledAt: row.disabled_at,
  }));
}

/** The first admin of an installation, if it has nobody yet. */
export async function ensureAdmin(deps: AccessDeps, name: string): Promise<{ name: string; created: boolean }> {
  const known = await deps.db
    .selectFrom("persons")
    .select("name")
    .where("role", "=", "admin")
    .where("disabled_at", "is", null)
    .orderBy("created_at")
    .executeTakeFirst();
  if (known !== undefined) return { name: known.name, created: false };
  try {
    await addPerson(deps, "tidegate", { name, role: "admin" });
    return { name, created: true };
  } catch (error) {
    if (error instanceof AppError && error.code === "person.exists") return { name, created: false };
    throw error;
  }
}
