import { z } from "zod";
import { isZone, type Freeze, type LocalTime } from "./freeze.ts";

/* Freezes as people write them in the policy: `reason`, `zone`, and `days` with `hours`, or `from` and `to`. */

const dayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
const dayName = z.enum(dayNames);
const wholeDay = 1440;

const hours = z.string().transform((text, context): { from: number; to: number } => {
  const found = /^(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)$/.exec(text.trim())?.slice(1).map(Number);
  const [h1 = 99, m1 = 99, h2 = 99, m2 = 99] = found ?? [];
  const [from, to] = [h1 * 60 + m1, h2 * 60 + m2];
  if (m1 < 60 && m2 < 60 && from < wholeDay && to <= wholeDay && from !== to) return { from, to: to > from ? to : to + wholeDay };
  context.addIssue({ code: "custom", message: "expected hours such as 18:00-24:00, or 22:00-06:00 for a night" });
  return z.NEVER;
});

/** A date, or a date with a time; `last`: a date alone means its end. */
const local = (last: boolean) =>
  z.string().transform((text, context): LocalTime => {
    const found = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d))?$/.exec(text.trim());
    const [year = 0, month = 0, day = 0, hour, minutes] =
      found?.slice(1).map((part) => (part === undefined ? undefined : Number(part))) ?? [];
    const isDate = found !== null && new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day && month >= 1 && month <= 12;
    if (isDate && (hour ?? 0) < 24 && (minutes ?? 0) < 60) {
      const time = hour === undefined ? (last ? wholeDay : 0) : hour * 60 + (minutes ?? 0);
      return { year, month, day, minutes: time };
    }
    context.addIssue({ code: "custom", message: "expected a date such as 2026-12-24, or 2026-12-24 18:00" });
    return z.NEVER;
  });

const zone = z.string().refine(isZone, "expected a time zone such as Europe/Berlin or UTC");

/** The shape of a freeze in YAML and JSON. */
export const freezeShape = z
  .strictObject({
    reason: z.string().min(1).max(200),
    zone: zone.default("UTC"),
    days: z.union([dayName.transform((name) => [name]), z.array(dayName).min(1)]).optional(),
    hours: hours.optional(),
    from: local(false).optional(),
    to: local(true).optional(),
  })
  .transform(({ reason, zone: name, days, hours: times, from, to }, context): Freeze => {
    const refuse = (message: string): never => {
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    };
    const isWeekly = days !== undefined || times !== undefined;
    if (isWeekly === (from !== undefined || to !== undefined)) return refuse("expected days with hours, or from and to");
    if (from !== undefined || to !== undefined) {
      if (from === undefined || to === undefined) return refuse("expected both from and to");
      const order = (time: LocalTime): number => Date.UTC(time.year, time.month - 1, time.day) + time.minutes * 60_000;
      return order(from) < order(to) ? { reason, zone: name, window: { every: "once", from, to } } : refuse("expected from before to");
    }
    const numbers = (days ?? dayNames).map((item) => dayNames.indexOf(item));
    const window = { every: "week" as const, days: [...new Set(numbers)].sort(), ...(times ?? { from: 0, to: wholeDay }) };
    return window.days.length === 7 && window.to - window.from >= wholeDay
      ? refuse("expected a freeze that ends")
      : { reason, zone: name, window };
  });

/** The freezes of a policy. */
export const freezesShape = z.array(freezeShape).max(100);

const two = (value: number): string => String(value).padStart(2, "0");
const clock = (minutes: number): string => `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;

/** A moment beyond the last minute of its day is the end of that day. */
const localText = ({ year, month, day, minutes }: LocalTime): string =>
  `${year}-${two(month)}-${two(day)}${minutes === wholeDay ? "" : ` ${clock(minutes)}`}`;

/** A freeze as people write it. */
export function freezeDocument({ reason, zone: name, window }: Freeze): Record<string, unknown> {
  if (window.every === "once") return { reason, zone: name, from: localText(window.from), to: localText(window.to) };
  const hoursText = `${clock(window.from)}-${clock(window.to > wholeDay ? window.to - wholeDay : window.to)}`;
  return { reason, zone: name, days: window.days.map((index) => dayNames[index]), hours: hoursText };
}
