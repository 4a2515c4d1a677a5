import { roles, type Principal } from "../access/principal.ts";

/** Whether somebody could merge by hand just as well; for others only a rule merges. */
export function mayMerge(principal: Principal): boolean {
  return principal.kind === "person" && roles.indexOf(principal.role) >= roles.indexOf("maintainer");
}
