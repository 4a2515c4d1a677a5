import { z } from "@hono/zod-openapi";
import { notes, release } from "./answers.ts";
import { pinAnswer } from "./pin-answers.ts";
import { judgedAnswer } from "./outcome-answers.ts";

/* What the routes of releases answer. */

const count = z.number().int().min(0);
const time = z.iso.datetime();

const step = z
  .object({
    ordinal: count,
    text: z.string().openapi({ description: "Whom it moves, how long it lasts, and whether somebody must start it." }),
    state: z.enum(["waiting", "running", "done", "aborted"]),
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    moved: z.array(z.string()).openapi({ description: "Consumers that it moved; of the last step none, since it moves all readers." }),
    shares: z
      .array(z.object({ consumer: z.string(), percent: z.number(), unit: z.enum(["run", "session"]) }))
      .openapi({ description: "Consumers of which it moved a percentage of the runs or sessions." }),
  })
  .openapi("ReleaseStep");

export const releaseLines = z.array(release.and(z.object({ steps: count, moved: count, datasets: z.array(z.string()) })));

export const shownReleaseAnswer = z
  .object({
    release,
    title: z.string().nullable(),
    steps: z.array(step),
    holds: z
      .array(
        z.object({
          consumer: z.string(),
          owner: z.string(),
          reason: z.string(),
          createdAt: time,
          expiresAt: time,
          endedAt: time.nullable(),
          as: z.array(z.object({ dataset: z.string(), version: count })).openapi({
            description: "Datasets of which it gets all new rows, with the columns of this version; empty when it stays on what it had.",
          }),
          noRowsSince: time.nullable().openapi({ description: "Since when it gets no new rows; null while it does." }),
          stopped: z.string().nullable().openapi({ description: "Why it gets none any more with its columns." }),
        }),
      )
      .openapi({
        description:
          "Consumers that stay on what they had, or go on with the columns that they know, because the release would break them.",
      }),
    pins: z
      .array(pinAnswer)
      .openapi({ description: "Consumers that stay on something else than it gives all others, because somebody pinned them." }),
    followUps: z
      .object({ open: count, notified: count, done: count })
      .nullable()
      .openapi({ description: "Consumers that had read what it has barred; null unless it was taken back." }),
    judging: z.array(z.string()).openapi({ description: "What the judge looks at, one line each." }),
    judged: judgedAnswer.openapi({
      description: "What it says of the step under way, now; null when none is, or when it is switched off.",
    }),
    inPlace: z
      .string()
      .nullable()
      .openapi({ description: "The release that comes in its place with its first step: until then it moves nobody." }),
    changes: z.array(z.string()),
    datasets: z.array(z.object({ dataset: z.string(), before: count.nullable(), after: count.nullable() })),
  })
  .openapi("ShownRelease");

export const plannedAnswer = z
  .object({
    from: z.enum(["policy", "change", "default"]),
    rule: z.string().nullable(),
    steps: z.array(z.string()),
    queue: z.enum(["wait", "supersede"]).openapi({ description: "Behind a release of the same datasets under way, or in its place." }),
    judging: z.array(z.string()).openapi({ description: "What the judge looks at, with how many reports SAFE needs." }),
    notes,
  })
  .openapi("PlanOfChange");

export type ReleaseLine = z.output<typeof releaseLines>[number];
export type ShownReleaseAnswer = z.output<typeof shownReleaseAnswer>;
export type PlannedAnswer = z.output<typeof plannedAnswer>;
