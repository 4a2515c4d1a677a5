import { listConsumers } from "../access/consumer-service.ts";
import { mainRef } from "../catalog/ref-store.ts";
import { mainCommit } from "../catalog/revision.ts";
import { treeSide, type Side } from "../catalog/side.ts";
import type { Reader } from "../db/db.ts";
import { reviewersIn } from "../reviews/reviewer-reads.ts";
import type { KnownNames } from "../reviews/unknown-names.ts";

/** Persons who can act, and groups that have one of them. */
export async function knownPeople(db: Reader): Promise<string[]> {
  const reviewers = await reviewersIn(db);
  return [...new Set(reviewers.flatMap(({ name, groups }) => [name, ...groups]))];
}

/** What documents may name: on main, or as a side has the datasets. */
export async function knownNames(deps: Parameters<typeof listConsumers>[0], side?: Side): Promise<KnownNames> {
  const { db } = deps;
  const looked = side ?? treeSide(db, mainRef, (await mainCommit(db)).tree);
  const datasets = (await looked.all()).map(({ dataset }) => dataset.name);
  return { people: await knownPeople(db), consumers: await listConsumers(deps), datasets };
}
