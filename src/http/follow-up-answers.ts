import { z } from "@hono/zod-openapi";
import { followUpMarks } from "../rollouts/rollback/follow-up.ts";
import { readerOfVersion } from "./answers.ts";

/* What the routes of the list to work through after a rollback answer. */

const followUp = z
  .object({
    release: z.string(),
    consumer: z.string(),
    kind: z.string().nullable(),
    owner: z.string().nullable(),
    state: z.enum(["open", ...followUpMarks]).openapi({ description: "open: nobody has seen to it, or it has read again since." }),
    note: z.string().nullable(),
    markedBy: z.string().nullable(),
    markedAt: z.iso.datetime().nullable(),
    reads: z.array(readerOfVersion),
  })
  .openapi("FollowUp");

export const followUpAnswer = followUp;
export const followUpLines = z.array(followUp);

export type FollowUpAnswer = z.output<typeof followUpAnswer>;
