import { z } from "@hono/zod-openapi";
import { AppError } from "../lib/errors.ts";
import { report } from "../rollouts/judge/outcome-service.ts";
import { reportedAnswer } from "./outcome-answers.ts";
import type { Router } from "./router.ts";

const text = z.string().min(1).max(200);

/** Outcomes: what consumers say of their work on what they read. */
export function addOutcomeRoutes(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/outcomes",
      tag: "releases",
      summary: "Report how one's work went on what one read; only for oneself, with a consumer's token",
      needs: "reader",
      body: z.object({
        id: text.openapi({ description: "One's own id of the report: sent again it is the same report." }),
        dataset: text.optional(),
        release: text.optional(),
        metric: text
          .optional()
          .openapi({ description: "With value, values or sums. `errors` and `latency` come from ok and latencyMs too." }),
        value: z.number().optional(),
        values: z.array(z.number()).min(1).max(10_000).optional(),
        sums: z
          .object({ n: z.number().int().min(1), sum: z.number(), sumSquares: z.number().min(0) })
          .strict()
          .optional(),
        ok: z
          .boolean()
          .optional()
          .openapi({ description: "Whether the work could be done. False on a candidate is harm, where it worked before." }),
        reason: z.string().min(1).max(500).optional().openapi({ description: "What went wrong." }),
        latencyMs: z.number().min(0).optional(),
        run: text.optional().openapi({ description: "The run whose reads these were." }),
        pair: text.optional().openapi({ description: "What both sides are reported of; only its hash is kept." }),
        at: z.iso.datetime({ offset: true }).optional().openapi({ description: "When it was read; now, unless it is said." }),
      }),
      answer: "Where the report counts, and whether the release was taken back for what the judge knows now.",
      data: reportedAnswer,
    },
    async ({ services, principal, body }) => {
      if (principal.kind !== "consumer") {
        throw new AppError("auth.denied", "Outcomes are reported by consumers, each for itself.", {
          expected: "a consumer's token",
          found: `the person ${principal.name}`,
          hint: "tidegate token create --consumer <name>, then TIDEGATE_TOKEN=… tidegate report …",
        });
      }
      const { at, ...said } = body;
      const outcome = { ...said, at: at === undefined ? undefined : new Date(at) };
      const { environment } = services;
      const { id, place, repeated, judged } = await report(services, { consumer: principal.name, environment }, outcome);
      return {
        id,
        release: place?.releaseId ?? null,
        step: place?.step ?? null,
        arm: place?.arm ?? null,
        repeated,
        takenBack: judged?.verdict === "HARM",
      };
    },
  );
}
