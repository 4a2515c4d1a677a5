/** A time in which no step starts, by the clock of a time zone. */
export interface Freeze {
  /** What it is called, and why: `weekend`. */
  reason: string;
  /** IANA name, `Europe/Berlin`. */
  zone: string;
  window:
    | {
        every: "week";
        /** 0 is Sunday. */ days: readonly number[];
        /** Minutes from midnight; beyond a day: of the next. */ from: number;
        to: number;
      }
    | { every: "once"; from: LocalTime; to: LocalTime };
}

/** A moment as a clock on the wall tells it. */
export interface LocalTime {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
  minutes: number;
}

const minute = 60_000;
const day = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  formats.set(zone, made);
  return made;
}

/** What the wall's clock says, as if it were UTC. */
function wallOf(zone: string, at: number): number {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
}

/** Whether a name is one of a time zone. */
export function isZone(zone: string): boolean {
  try {
    return formatOf(zone) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The moments at which a wall's clock says this: two where it is set back, and where it is set forward and never says so, the hour around the
 * gap. A freeze begins with the first and ends with the last.
 */
function momentsOf(zone: string, wall: number): { first: number; last: number } {
  const offset = (at: number): number => wallOf(zone, at) - Math.floor(at / 1000) * 1000;
  const moments = [wall - offset(wall - day), wall - offset(wall + day)];
  const told = moments.filter((at) => wallOf(zone, at) === wall);
  const found = told.length === 0 ? moments : told;
  return { first: Math.min(...found), last: Math.max(...found) };
}

const wallTime = ({ year, month, day: date, minutes }: LocalTime): number => Date.UTC(year, month - 1, date) + minutes * minute;

/** When the window ends in which a moment lies; undefined outside of it. */
function endOf({ zone, window }: Freeze, at: number): number | undefined {
  if (window.every === "once") {
    const [from, to] = [momentsOf(zone, wallTime(window.from)).first, momentsOf(zone, wallTime(window.to)).last];
    return from <= at && at < to ? to : undefined;
  }
  const midnight = Math.floor(wallOf(zone, at) / day) * day;
  // Yesterday's window may reach into today.
  const ends = [midnight - day, midnight].flatMap((date) => {
    if (!window.days.includes(new Date(date).getUTCDay())) return [];
    const [from, to] = [momentsOf(zone, date + window.from * minute).first, momentsOf(zone, date + window.to * minute).last];
    return from <= at && at < to ? [to] : [];
  });
  return ends.length === 0 ? undefined : Math.max(...ends);
}

/** A freeze that stands, and when the last of those that follow upon one another ends. */
export interface Frozen {
  freeze: Freeze;
  until: Date;
}

/** No chain of windows that ends somewhere is longer: a year of days, each with a window of its own. */
const longestChain = 800;

/** The freeze in which a moment lies, and when steps may start again; undefined when they may now. */
export function frozenAt(freezes: readonly Freeze[], at: Date): Frozen | undefined {
  let until = at.getTime();
  let first: Freeze | undefined;
  for (let count = 0; count < longestChain; count += 1) {
    const next = freezes.map((freeze) => ({ freeze, end: endOf(freeze, until) })).find(({ end }) => end !== undefined);
    if (next?.end === undefined) break;
    first ??= next.freeze;
    until = next.end;
  }
  return first === undefined ? undefined : { freeze: first, until: new Date(until) };
}

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const two = (value: number): string => String(value).padStart(2, "0");

/** `waits until Mon 2026-11-30 06:00 (freeze: weekend)`, by the clock of the freeze's zone. */
export function frozenText({ freeze, until }: Frozen): string {
  const wall = new Date(wallOf(freeze.zone, until.getTime()));
  const date = `${weekdays[wall.getUTCDay()] ?? ""} ${wall.toISOString().slice(0, 10)}`;
  return `waits until ${date} ${two(wall.getUTCHours())}:${two(wall.getUTCMinutes())} ${freeze.zone} (freeze: ${freeze.reason})`;
}
