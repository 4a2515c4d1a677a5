import { AppError } from "../lib/errors.ts";

export const roles = ["viewer", "editor", "reviewer", "maintainer", "admin"] as const;
export type Role = (typeof roles)[number];

/** Who asks. A consumer reads its own view and nothing else. */
export type Principal =
  | {
      kind: "person";
      id: string;
      name: string;
      role: Role;
      /** A job that brings changes under a name of its own, and decides on none. */
      isService?: boolean;
      /** Set when the local user acts for another person. */
      as?: string;
    }
  | { kind: "consumer"; id: string; name: string };

const acting = " as ";

/** How the record names who acted: `ana`, or `ana as ben`. */
export function actorOf(principal: Principal): string {
  return principal.kind === "person" && principal.as !== undefined ? `${principal.name}${acting}${principal.as}` : principal.name;
}

/** The persons that a record names: who acted, and who was acted for. Names hold no blanks, so nobody is called so. */
export function personsOf(actor: string): string[] {
  return actor.split(acting);
}

/** Whose rights count: the person acted for, else the principal itself. */
export function selfOf(principal: Principal): string {
  return principal.kind === "person" ? (principal.as ?? principal.name) : principal.name;
}

/** Whether a role may do what another may. */
export const isAtLeast = (role: Role, needed: Role): boolean => roles.indexOf(role) >= roles.indexOf(needed);

/** The person, if the role suffices; `auth.denied` says what would. */
export function requireRole(principal: Principal, needed: Role): Principal & { kind: "person" } {
  if (principal.kind === "person" && isAtLeast(principal.role, needed)) return principal;
  const found =
    principal.kind === "consumer" ? `the consumer ${principal.name}, which only reads its own view` : `the role ${principal.role}`;
  throw new AppError("auth.denied", `${selfOf(principal)} may not do that.`, {
    expected: `the role ${needed}`,
    found,
    hint: "ask an admin, or use another token",
  });
}
