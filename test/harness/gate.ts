import { expect } from "vitest";
import { addPerson } from "../../src/access/person-service.ts";
import { merge } from "../../src/changes/merge-service.ts";
import { review } from "../../src/changes/review-service.ts";
import { lakehouse, type Lakehouse } from "./lakehouse.ts";

/** A lakehouse with an admin, two reviewers and an editor. */
export async function lakehouseWithPeople(): Promise<Lakehouse> {
  const lake = await lakehouse();
  for (const [name, role] of [
    ["ana", "admin"],
    ["ben", "reviewer"],
    ["eve", "editor"],
    ["mia", "reviewer"],
  ] as const)
    await addPerson(lake, "root", { name, role });
  return lake;
}

export const approve = (lake: Lakehouse, changeId: string, person = "ben") =>
  review(lake, { changeId, person, actor: person, kind: "approve" });

/** Merges as a person who asks for it, through the gate. */
export const mergeIt = (lake: Lakehouse, changeId: string) => merge(lake, { changeId, actor: "ana", byPerson: true });

/** An error of this code. */
export const code = (expected: string) => expect.objectContaining({ code: expected }) as unknown;
