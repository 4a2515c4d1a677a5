import { z } from "@hono/zod-openapi";
import { parseVersionName } from "../catalog/dataset.ts";
import { getVersionByNumber } from "../catalog/version-store.ts";
import { contractChanges, lintContract, onMain } from "../changes/contract-service.ts";
import { acceptChange } from "../changes/accept-service.ts";
import { inferFrom } from "../changes/infer-service.ts";
import { proposeContract } from "../changes/propose-contract-service.ts";
import { acceptInText } from "../contracts/accept.ts";
import { rulesOf } from "../contracts/contract-rules.ts";
import { getContract } from "../contracts/contract-store.ts";
import { contractYaml } from "../contracts/contract-text.ts";
import type { Rule } from "../contracts/rule.ts";
import { AppError } from "../lib/errors.ts";
import { acceptedAnswer, contractDiffs, contractProposed, contractTextAnswer, inferredAnswer, lintedAnswer } from "./contract-answers.ts";
import type { Router } from "./router.ts";
import { changeShape } from "./shapes.ts";

const named = z.object({ name: z.string() });
const textBody = z.string().max(1_100_000);

const shownRule = ({ id, title, severity, scope, source }: Rule) => ({ id, title, severity, scope, source });

/** Contracts: their text, what is wrong with one, what a change does to one. */
export function addContractRoutes(router: Router): void {
  router.add(
    {
      method: "post",
      path: "/v1/contracts/lint",
      reads: true,
      tag: "contracts",
      summary: "Say everything that is wrong with a contract's text, each with its line",
      needs: "viewer",
      body: z.object({ text: textBody, dataset: z.string().optional() }),
      answer: "Whether it is valid, its rules, and its problems by line.",
      data: lintedAnswer,
    },
    async ({ services, body }) => {
      const { contract, rules, problems } = await lintContract(services, body.text, body.dataset);
      return { valid: contract !== undefined, rules: rules.map(shownRule), problems: [...problems] };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/contract/text",
      tag: "contracts",
      summary: "A dataset's contract as YAML, and its rules",
      needs: "viewer",
      params: named,
      answer: "The contract as main has it, or as a version has it.",
      data: contractTextAnswer,
    },
    async ({ services, params }) => {
      const { name, number } = parseVersionName(params.name);
      const found = await onMain(services, name);
      const version = number === undefined ? found.version : await getVersionByNumber(services.db, found.dataset, number);
      const contract = await getContract(services.db, version.contractHash);
      const { state } = await services.tables.open(version);
      const rules = rulesOf(contract, state.schema, found.dataset.name).map(shownRule);
      return { dataset: found.dataset.name, version: version.number, text: contractYaml(contract), rules };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/datasets/{name}/contract/inferred",
      tag: "contracts",
      summary: "Propose a contract from what a range of versions looked like",
      needs: "viewer",
      params: named,
      query: z.object({ from: z.coerce.number().int().min(1).optional(), to: z.coerce.number().int().min(1).optional() }),
      answer: "A contract as YAML for a person to edit, and why each rule is proposed.",
      data: inferredAnswer,
    },
    async ({ services, params, query, signal }) => {
      const { dataset, version } = await onMain(services, params.name);
      const to = query.to === undefined ? version : await getVersionByNumber(services.db, dataset, query.to);
      const { contract, proposals } = await inferFrom(services, { dataset, from: query.from ?? to.number, to }, { signal });
      const shown = proposals.map(({ column, rule, why }) => ({ column: column ?? null, rule, why }));
      return { dataset: dataset.name, text: contractYaml(contract), proposals: shown };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/datasets/{name}/contract",
      tag: "contracts",
      summary: "Propose a text as the dataset's contract, as a change like any other",
      needs: "editor",
      params: named,
      body: z.object({ text: textBody, title: z.string().max(300).optional(), changeId: z.string().optional() }),
      answer: "The change, or null when nothing would change.",
      data: contractProposed,
    },
    async ({ services, params, body, actor, signal }) => {
      const { dataset, change, known, notes } = await proposeContract(services, { ...body, dataset: params.name, actor, signal });
      return { change: change === undefined ? null : changeShape(change), dataset, known, notes };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/changes/{id}/contract",
      tag: "contracts",
      summary: "What a change does to contracts, item by item",
      needs: "viewer",
      params: z.object({ id: z.string() }),
      answer: "One entry per dataset whose contract it changes.",
      data: contractDiffs,
    },
    async ({ services, params }) => {
      const found = await contractChanges(services, params.id);
      return found.map(({ dataset, owners, items }) => ({ dataset, owners: [...owners], items: [...items] }));
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/changes/{id}/contract/accept",
      tag: "contracts",
      summary: "Make what a change's failing checks show the new normal, in the same change",
      needs: "editor",
      params: z.object({ id: z.string() }),
      body: z.object({
        dataset: z.string().optional(),
        text: textBody.optional().openapi({ description: "A file to edit in the same way." }),
      }),
      answer: "The rules that were edited, and those that no edit settles.",
      data: acceptedAnswer,
    },
    async ({ services, params, body, actor, signal }) => {
      const accepted = await acceptChange(services, { changeId: params.id, dataset: body.dataset, actor, signal });
      const { rules, left, edits, versions } = accepted;
      if (rules.length + left.length === 0) {
        throw new AppError("change.empty", `Nothing of ${params.id} is left to accept.`, {
          expected: "a failing check that the change's own contract does not allow yet",
          found: "none",
          hint: `tidegate check ${params.id}`,
        });
      }
      return { rules, left, versions, text: body.text === undefined ? null : acceptInText(body.text, edits) };
    },
  );
}
