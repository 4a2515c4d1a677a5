import { z } from "@hono/zod-openapi";
import { roles } from "../access/principal.ts";
import { releaseStates } from "../rollouts/release-machine.ts";
import { consumerKinds, criticalities, stickyUnits } from "../access/consumer.ts";
import { origins } from "../reviews/policy.ts";

/*
 * What the routes answer, as the API describes it. Tests compare every answer with these shapes, both ways: nothing is missing, nothing is said
 * that is not described.
 */

const time = z.iso.datetime().openapi({ description: "RFC 3339, UTC.", example: "2026-11-24T08:00:00.000Z" });
const count = z.number().int().min(0);

const as = count.optional().openapi({ description: "Of a projection: number of the version whose columns it has." });

const version = z
  .object({
    id: z.string(),
    number: count.openapi({ description: "Counted per dataset over all branches; never reused." }),
    as,
    rows: count,
    bytes: count,
    files: count,
    contract: z.string(),
    createdAt: time,
    change: z.string().nullable().openapi({ description: "The change that made it." }),
  })
  .openapi("Version");

export const changeAnswer = z
  .object({
    id: z.string(),
    title: z.string(),
    state: z.enum(["open", "queued", "conflicted", "merged", "closed", "superseded"]),
    origin: z.enum(origins),
    author: z.string(),
    contentHash: z.string(),
    createdAt: time,
    updatedAt: time,
    mergedAt: time.nullable(),
    mergedBy: z.string().nullable(),
    mergeCommit: z.string().nullable(),
    reverts: z.string().nullable(),
    supersedes: z.string().nullable(),
    closedReason: z.string().nullable(),
  })
  .openapi("Change");

const proposedDataset = z
  .object({
    dataset: z.string(),
    base: version.nullable(),
    candidate: version.nullable(),
    derived: z.boolean().openapi({ description: "Rebuilt, because what it is built from changes." }),
    inserted: count,
    updated: count,
    deleted: count,
    unchanged: count,
    notFound: count,
    notes: z.array(z.string()),
  })
  .openapi("ProposedDataset");

export const release = z
  .object({
    id: z.string(),
    environment: z.string(),
    change: z.string().nullable(),
    state: z.enum(releaseStates),
    reason: z.string(),
    createdAt: time,
    finishedAt: time.nullable(),
    ordinary: z.boolean(),
    planned: z.boolean().openapi({ description: "It reaches its readers in steps." }),
    step: count.openapi({ description: "The step under way, from 1; 0 before the first." }),
    dueAt: time.nullable().openapi({ description: "When the next step starts by itself, or the bake ends." }),
    liveAt: time.nullable().openapi({ description: "Since when all readers have it." }),
    lookAt: time.nullable().openapi({ description: "When the judge, which holds it, looks again." }),
    queue: z.enum(["wait", "supersede"]).openapi({
      description: "Behind a release of the same datasets under way, or in its place: then that one ends with its first step.",
    }),
  })
  .openapi("Release");

export const mergedAnswer = z
  .object({
    change: changeAnswer,
    commit: z.string(),
    previousCommit: z.string(),
    datasets: z.array(z.object({ dataset: z.string(), before: version.nullable(), after: version.nullable() })),
    release,
  })
  .openapi("Merged");

export const importedAnswer = z.object({
  datasets: z.array(proposedDataset),
  known: z.boolean().openapi({ description: "The batch had come before; nothing was done." }),
  merged: mergedAnswer,
});

export const notes = z.array(z.string()).openapi({ description: "What is no mistake, but perhaps not meant." });

export const proposedAnswer = z
  .object({
    change: changeAnswer.nullable().openapi({ description: "Null when nothing would change." }),
    known: z.boolean().openapi({ description: "The batch had come before; nothing was done." }),
    datasets: z.array(proposedDataset),
    merged: mergedAnswer.nullable(),
    plan: z
      .object({ steps: z.array(z.string()), notes })
      .nullable()
      .openapi({ description: "How its release shall reach readers, as the proposal says; null where it says nothing." }),
  })
  .openapi("Proposed");

export const changeLines = z.array(
  changeAnswer
    .pick({ id: true, title: true, state: true, origin: true, author: true, updatedAt: true })
    .extend({ barred: z.boolean(), datasets: z.array(z.string()) }),
);

export const shownChangeAnswer = z.object({
  change: changeAnswer,
  barred: z.boolean(),
  revertWaits: z
    .object({ message: z.string(), hint: z.string().nullable() })
    .nullable()
    .openapi({ description: "Why the revert of a rolled back change could not open by itself, and what to do." }),
  authors: z.array(z.string()),
  datasets: z.array(
    z.object({
      dataset: z.string(),
      datasetId: z.string(),
      base: version.nullable(),
      candidate: version.nullable(),
      merged: version.nullable(),
      createdDataset: z.boolean(),
      droppedDataset: z.boolean(),
      derived: z.boolean(),
    }),
  ),
  operations: z.array(
    z.object({ ordinal: count, dataset: z.string(), kind: z.string(), payload: z.unknown(), author: z.string(), at: time }),
  ),
  revertedBy: z.array(z.string()),
  conflict: z.object({ message: z.string(), hint: z.string().nullable() }).nullable(),
});

export const resolvedAnswer = z.object({ change: changeAnswer, resolved: count });

export const restoredAnswer = z.object({
  change: changeAnswer,
  datasets: z.array(z.object({ dataset: z.string(), from: version, to: version, undoes: z.array(z.string()) })),
});

export const readerOfVersion = z
  .object({
    dataset: z.string(),
    consumer: z.string(),
    kind: z.string().optional(),
    owner: z.string().optional(),
    version: count,
    as,
    columns: z.array(z.string()),
    doors: z.array(z.string()),
    runs: z.array(z.string()),
    reads: count,
    rows: count,
    bytes: count,
    firstAt: time,
    lastAt: time,
    mixed: z.boolean().openapi({ description: "Saw two states within one lease." }),
  })
  .openapi("ReaderOfVersion");

export const rolledBackAnswer = z.object({
  releases: z.array(release),
  barred: z.array(z.string()),
  stays: z.array(z.string()).openapi({ description: "Later releases that are carried on." }),
  datasets: z.array(z.object({ dataset: z.string(), from: version.nullable(), to: version.nullable() })),
  readers: z.array(readerOfVersion),
  milliseconds: z.number(),
});

export const unbarredAnswer = z.object({ release });

export const logLines = z.array(
  z.object({
    commit: z.string(),
    at: time,
    actor: z.string(),
    reason: z.string(),
    message: z.string(),
    changeId: z.string().nullable(),
    releaseId: z.string().nullable(),
    datasets: z.array(z.object({ dataset: z.string(), before: count.optional(), after: count.optional() })),
  }),
);

export const usageLines = z.array(
  z.object({ dataset: z.string(), versions: z.array(count), consumer: z.string(), reads: count, rows: count, lastAt: time }),
);

export const uptakeLines = z.array(
  z.object({
    dataset: z.string(),
    version: count,
    releasedAt: time,
    readers: count,
    notYet: z.array(z.string()),
    unreadColumns: z.array(z.string()),
  }),
);

export const unusedAnswer = z.object({
  since: time,
  newer: count.openapi({ description: "Datasets that came later, of which nothing is told." }),
  unused: z.array(
    z.object({
      dataset: z.string(),
      version: count,
      createdAt: time,
      lastReadAt: time.nullable(),
      readers: count.openapi({ description: "0: nobody has read it." }),
      unreadColumns: z.array(z.string()),
      builds: z.array(z.string()).openapi({ description: "Datasets that are built from it." }),
    }),
  ),
});

export const whoReadAnswer = z.object({ dataset: z.string(), version: count.nullable(), readers: z.array(readerOfVersion) });

const tag = z.object({ name: z.string(), commit: z.string() }).openapi("Tag");
export const tagAnswer = tag;
export const tagLines = z.array(tag);

const column = z
  .object({ name: z.string(), type: z.string(), required: z.boolean(), id: count, doc: z.string().optional() })
  .openapi("Column");

export const datasetLines = z.array(z.object({ name: z.string(), id: z.string(), version }));

export const datasetAnswer = z.object({
  name: z.string(),
  id: z.string(),
  version,
  owners: z.array(z.string()),
  key: z.array(z.string()),
  columns: z.array(column),
  derived: z
    .object({ sql: z.string(), from: z.array(z.string()) })
    .nullable()
    .openapi({ description: "The SELECT by which it is built and what it is built from; null for a dataset that is written to." }),
  into: z.array(z.string()).openapi({ description: "Datasets that are built from it." }),
  view: z.string(),
  reason: z.string(),
});

export const contractAnswer = z.record(z.string(), z.unknown()).openapi({ description: "An ODCS document." });
export const rowAnswer = z.record(z.string(), z.unknown()).openapi({ description: "Values by column." });
export const pathAnswer = z.object({ dataset: z.string(), version: count, as, path: z.string() });

export const viewAnswer = z.object({
  view: z.string().openapi({ description: "The same content is the same view." }),
  reason: z.string().openapi({ description: "Why the reader has it.", example: "ring 1 of rel_7" }),
  leaseUntil: time.nullable().openapi({ description: "Until when a run keeps it; null without a run." }),
  datasets: z
    .array(z.object({ dataset: z.string(), version: count, as }))
    .openapi({ description: "What it has of the datasets that were asked for." }),
});

export const auditLines = z.array(
  z.object({
    seq: count,
    at: time,
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    hash: z.string(),
    payload: z.string().nullable().openapi({ description: "JSON text; null when it was erased." }),
  }),
);

export const auditVerdict = z.object({
  ok: z.boolean(),
  events: count,
  head: z.string(),
  broken: z.object({ seq: count, reason: z.string(), expected: z.string().optional(), found: z.string().optional() }).optional(),
});

const sweptFile = z.object({ key: z.string(), reason: z.string(), bytes: count });

export const sweptAnswer = z.object({
  condemned: z.array(sweptFile),
  deleted: z.array(sweptFile),
  kept: count,
  bytes: count,
});

export const doctorAnswer = z.object({
  checked: count,
  deletes: count.openapi({ description: "Files of position deletes, which other engines write." }),
  findings: z.array(
    z.object({ dataset: z.string(), version: count, file: z.string(), problem: z.string(), expected: z.string(), found: z.string() }),
  ),
});

export const uploadAnswer = z.object({ id: z.string(), bytes: count, contentHash: z.string() });
export const healthAnswer = z.object({ instance: z.string(), engine: z.string() });
export const nothing = z.object({});
/** What is no mistake, but perhaps not meant: names that nobody bears, changes that are open for the same. */
export const createdAnswer = z.object({ id: z.string() });

export const whoamiAnswer = z.object({
  kind: z.enum(["person", "consumer"]),
  name: z.string(),
  role: z.enum(roles).nullable(),
  actor: z.string().openapi({ description: "How the record names who acts: `ana`, or `ana as ben`." }),
});

export const personLines = z.array(
  z.object({
    name: z.string(),
    email: z.string().nullable(),
    role: z.enum(roles),
    isService: z.boolean(),
    createdAt: time,
    disabledAt: time.nullable(),
  }),
);
export const groupLines = z.array(z.object({ name: z.string(), members: z.array(z.string()) }));
export const consumerLines = z.array(
  z.object({
    name: z.string(),
    kind: z.enum(consumerKinds),
    criticality: z.enum(criticalities),
    owner: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    sticky: z.enum(stickyUnits),
    createdAt: time,
    disabledAt: time.nullable(),
  }),
);
export const tokenLines = z.array(
  z.object({
    id: z.string(),
    label: z.string(),
    person: z.string().nullable(),
    consumer: z.string().nullable(),
    createdAt: time,
    expiresAt: time.nullable(),
    revokedAt: time.nullable(),
  }),
);
export const tokenMade = z.object({
  id: z.string(),
  token: z.string().optional().openapi({ description: "Given once: a repeated request is answered without it." }),
  expiresAt: time.optional(),
});

/* The same as types, for clients: what a command shows is compared with what the API promises when it is compiled. */

export type VersionAnswer = z.output<typeof version>;
export type ReleaseAnswer = z.output<typeof release>;
export type ProposedDatasetAnswer = z.output<typeof proposedDataset>;
export type ProposedAnswer = z.output<typeof proposedAnswer>;
export type ImportedAnswer = z.output<typeof importedAnswer>;
export type MergedAnswer = z.output<typeof mergedAnswer>;
export type ChangeAnswer = z.output<typeof changeAnswer>;
export type ChangeLine = z.output<typeof changeLines>[number];
export type ShownChangeAnswer = z.output<typeof shownChangeAnswer>;
export type ResolvedAnswer = z.output<typeof resolvedAnswer>;
export type RestoredAnswer = z.output<typeof restoredAnswer>;
export type RolledBackAnswer = z.output<typeof rolledBackAnswer>;
export type UnbarredAnswer = z.output<typeof unbarredAnswer>;
export type LogLine = z.output<typeof logLines>[number];
export type UsageLine = z.output<typeof usageLines>[number];
export type UnusedAnswer = z.output<typeof unusedAnswer>;
export type UptakeLine = z.output<typeof uptakeLines>[number];
export type ReaderOfVersion = z.output<typeof readerOfVersion>;
export type WhoReadAnswer = z.output<typeof whoReadAnswer>;
export type TagAnswer = z.output<typeof tagAnswer>;
export type DatasetLine = z.output<typeof datasetLines>[number];
export type DatasetAnswer = z.output<typeof datasetAnswer>;
export type PathAnswer = z.output<typeof pathAnswer>;
export type AuditLine = z.output<typeof auditLines>[number];
export type AuditVerdict = z.output<typeof auditVerdict>;
export type SweptAnswer = z.output<typeof sweptAnswer>;
export type DoctorAnswer = z.output<typeof doctorAnswer>;
export type WhoamiAnswer = z.output<typeof whoamiAnswer>;
export type PersonLine = z.output<typeof personLines>[number];
export type GroupLine = z.output<typeof groupLines>[number];
export type ConsumerLine = z.output<typeof consumerLines>[number];
export type TokenLine = z.output<typeof tokenLines>[number];
export type TokenMade = z.output<typeof tokenMade>;
