import { getConsumer, ownsConsumer } from "../access/consumer-service.ts";
import { isAtLeast, requireRole, selfOf, type Principal } from "../access/principal.ts";
import { AppError } from "../lib/errors.ts";
import { laterMomentOf, momentForms } from "../lib/moment.ts";
import type { Services } from "./services.ts";

const longest = 366 * 86_400_000;

/** A moment to come, at most a year ahead. */
export function untilOf(services: Pick<Services, "clock">, text: string): Date {
  const now = services.clock.now();
  const until = laterMomentOf(text, now);
  if (until !== undefined && until.getTime() - now.getTime() <= longest) return until;
  throw new AppError("usage.invalid", `«${text}» is no time to come.`, {
    expected: `${momentForms}, within a year`,
    found: text,
    hint: "--until 2d",
  });
}

/** A person who answers for the consumer, or a maintainer: `auth.denied` otherwise. A consumer's own token does not do. */
export async function requireOwner(services: Services, principal: Principal, consumer: string): Promise<void> {
  const self = selfOf(principal);
  const { name } = await getConsumer(services, consumer);
  if (principal.kind === "person" && isAtLeast(principal.role, "maintainer")) return;
  if (principal.kind === "person" && (await ownsConsumer(services, self, name))) return;
  requireRole(principal, "maintainer");
}
