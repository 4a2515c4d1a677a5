import { isAtLeast, type Principal } from "../access/principal.ts";

/** Whether somebody could merge by hand just as well; for others only a rule merges. */
export function mayMerge(principal: Principal): boolean {
  return principal.kind === "person" && isAtLeast(principal.role, "maintainer");
}
