import fc from "fast-check";
import { expect, test } from "vitest";
import { madeAssessment, madeCheck, madeDataset, madeFacts, madeTest, reviewer } from "../../test/harness/made-assessment.ts";
import { decide } from "./decide.ts";
import type { Policy } from "./policy.ts";
import type { Acknowledged, Override, Review } from "./review.ts";

/*
 * Seeded histories of one change under six people: they write, approve, block, withdraw, acknowledge, force, leave and change groups, the
 * data turns bad and good again. After each step the decision is compared with an oracle that shares no code with it.
 */

const people = ["ana", "ben", "cid", "dot", "eve", "fay"] as const;
type Name = (typeof people)[number];

type Step =
  | { do: "write" | "approve" | "block" | "withdraw" | "acknowledge" | "force" | "leave" | "return"; who: Name }
  | { do: "check"; verdict: "pass" | "fail" | "inconclusive" }
  | { do: "moved"; summary: "" | "0.61 → 0.82" | "0.61 → 0.90" }
  | { do: "loosen"; is: boolean };

const name = fc.constantFrom(...people);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("approve" as const, "acknowledge" as const), who: name }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("write" as const, "block" as const, "withdraw" as const, "force" as const), who: name }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("leave" as const, "return" as const), who: name }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("check" as const),
      verdict: fc.constantFrom("pass" as const, "pass" as const, "fail" as const, "inconclusive" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("moved" as const),
      summary: fc.constantFrom("" as const, "0.61 → 0.82" as const, "0.61 → 0.90" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("loosen" as const), is: fc.boolean() }) },
);

/** Eve may only edit; dot owns the data; fay is in the group finance. */
const policy: Policy = {
  rules: [
    { name: "money", when: { dataset: ["sales.*"] }, approvals: 2 },
    { name: "finance", when: { tag: ["money"] }, approvals: 1, from: ["finance"] },
  ],
  otherwise: {},
};

class World {
  content = 1;
  authors = new Set<Name>(["ana"]);
  reviews: Review[] = [];
  override: Override | undefined;
  here = new Set<Name>(people);
  verdict: "pass" | "fail" | "inconclusive" = "pass";
  moved = "";
  loosened = false;

  facts() {
    const datasets = [
      madeDataset({
        owners: ["dot"],
        tags: ["money"],
        checks: { ...madeDataset().checks, checks: [madeCheck({ verdict: this.verdict, found: "1 row" })] },
      }),
    ];
    const tests = this.moved === "" ? [] : [madeTest({ outcome: "moved", verdict: "fail", summary: this.moved, owner: null })];
    const loosened = this.loosened ? [{ item: "rule", what: "removed" as const, before: "x", after: null, owners: ["dot"] }] : [];
    return madeFacts({
      policy,
      assessment: madeAssessment({ contentHash: `content-${this.content}`, datasets, tests, loosened }),
      authors: [...this.authors],
      reviewers: [...this.here].map((who) => reviewer(who, { mayReview: who !== "eve", groups: who === "fay" ? ["finance"] : [] })),
      reviews: this.reviews,
      override: this.override,
    });
  }

  run(taken: Step): void {
    switch (taken.do) {
      case "write":
        this.content += 1;
        this.authors.add(taken.who);
        break;
      case "approve":
      case "block":
        this.#withdraw(taken.who);
        this.#say(taken.who, taken.do, []);
        break;
      case "withdraw":
        this.#withdraw(taken.who);
        break;
      case "acknowledge":
        this.#say(
          taken.who,
          "acknowledge",
          decide(this.facts()).items.flatMap((item) => item.acknowledge ?? []),
        );
        break;
      case "force":
        this.override = {
          person: taken.who,
          reason: "outage",
          contentHash: `content-${this.content}`,
          at: new Date(0),
          reviewedBy: null,
          reviewedAt: null,
        };
        break;
      case "leave":
        if (this.here.size > 2) this.here.delete(taken.who);
        break;
      case "return":
        this.here.add(taken.who);
        break;
      case "check":
        this.verdict = taken.verdict;
        break;
      case "moved":
        this.moved = taken.summary;
        break;
      case "loosen":
        // A change of contract is a write.
        this.loosened = taken.is;
        this.content += 1;
        break;
    }
  }

  #say(person: Name, kind: Review["kind"], acknowledged: Acknowledged[]): void {
    this.said.push({ person, kind, content: this.content, moved: this.moved, standing: true });
    this.reviews = [
      ...this.reviews,
      {
        id: `rev_${this.reviews.length}`,
        changeId: "chg_1",
        person,
        actor: person,
        kind,
        contentHash: `content-${this.content}`,
        acknowledged,
        text: "",
        at: new Date(0),
        withdrawnAt: null,
      },
    ];
  }

  #withdraw(person: Name): void {
    for (const word of this.said) if (word.person === person && word.kind !== "acknowledge") word.standing = false;
    this.reviews = this.reviews.map((review) =>
      review.person === person && review.kind !== "acknowledge" ? { ...review, withdrawnAt: review.withdrawnAt ?? new Date(0) } : review,
    );
  }

  /** What people said, as the oracle remembers it. */
  said: { person: Name; kind: string; content: number; moved: string; standing: boolean }[] = [];

  /** Whether it may merge, told from the story alone. */
  oracle(): boolean {
    if (this.override?.contentHash === `content-${this.content}`) return true;
    if (this.verdict !== "pass") return false;
    if (this.said.some((word) => word.kind === "block" && word.standing)) return false;
    const canJudge = (who: Name): boolean => this.here.has(who) && who !== "eve" && !this.authors.has(who);
    const yes = new Set(
      this.said
        .filter((word) => word.kind === "approve" && word.standing && word.content === this.content && canJudge(word.person))
        .map((word) => word.person),
    );
    if (yes.size < 2) return false;
    const fromGroup = this.here.has("fay") ? yes.has("fay") : false;
    if (!fromGroup) return false;
    if (this.moved !== "") {
      const seen = this.said.some(
        (word) => word.kind === "acknowledge" && word.content === this.content && word.moved === this.moved && canJudge(word.person),
      );
      if (!seen) return false;
    }
    if (!this.loosened) return true;
    const owner = this.here.has("dot") && !this.authors.has("dot");
    return owner ? yes.has("dot") : yes.size > 0;
  }
}

test("no history of six people gets a change through without what it needs, and none that has it waits", () => {
  let ready = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const world = new World();
      for (const taken of steps) {
        world.run(taken);
        const { outcome } = decide(world.facts());
        if (outcome === "ready") ready += 1;
        expect([taken, outcome === "ready"]).toEqual([taken, world.oracle()]);
      }
    }),
    { numRuns: 1000 },
  );
  // Histories in which nothing ever merges would prove little.
  expect(ready).toBeGreaterThan(500);
});
