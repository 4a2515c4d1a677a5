import { z } from "@hono/zod-openapi";
import { addConsumer, listConsumers, setConsumer } from "../access/consumer-service.ts";
import { addGroup, listGroups, setGroup } from "../access/group-service.ts";
import { addPerson, listPersons, setPerson } from "../access/person-service.ts";
import { createToken, listTokens, revokeToken } from "../access/token-service.ts";
import { requireRole, roles, selfOf, type Principal } from "../access/principal.ts";
import { refuseDeclared } from "../consumers/declared-reads.ts";
import { knownPeople } from "../changes/known-names.ts";
import { AppError } from "../lib/errors.ts";
import { unknownPerson } from "../reviews/unknown-names.ts";
import { consumerLines, createdAnswer, groupLines, notes, nothing, personLines, tokenLines, tokenMade } from "./answers.ts";
import { requireOwner } from "./consumer-owner.ts";
import type { Router } from "./router.ts";
import type { Services } from "./services.ts";
import { consumerKinds, criticalities, stickyUnits } from "../access/consumer.ts";

const role = z.enum(roles);
const named = z.object({ name: z.string() });

const consumerBody = z.object({
  name: z.string(),
  kind: z.enum(consumerKinds).optional(),
  criticality: z.enum(criticalities).optional(),
  owner: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  sticky: z
    .enum(stickyUnits)
    .optional()
    .openapi({ description: "What stays on one side of a percentage of a rollout: the consumer, or each of its runs or sessions." }),
});

/** Whose tokens a person may see and end: an admin everybody's, others their own. */
function ownOnly(principal: Principal): string | undefined {
  return principal.kind === "person" && principal.role === "admin" ? undefined : selfOf(principal);
}

async function ownerNotes({ db }: Services, owner: string | undefined): Promise<string[]> {
  return owner === undefined ? [] : unknownPerson(owner, { people: await knownPeople(db) });
}

/** Persons, groups, consumers and tokens. */
export function addPeopleRoutes(router: Router): void {
  router.add(
    {
      method: "get",
      path: "/v1/persons",
      tag: "people",
      summary: "List persons",
      needs: "viewer",
      answer: "Persons by name.",
      data: personLines,
    },
    (call) => listPersons(call.services),
  );
  router.add(
    {
      method: "post",
      path: "/v1/persons",
      tag: "people",
      summary: "Add a person",
      needs: "admin",
      body: z.object({
        name: z.string(),
        email: z.string().optional(),
        role: role.default("editor"),
        service: z.boolean().optional().openapi({ description: "A job that brings changes under a name of its own, and decides on none." }),
      }),
      answer: "The person's id.",
      data: createdAnswer,
    },
    (call) => addPerson(call.services, call.actor, call.body),
  );
  router.add(
    {
      method: "post",
      path: "/v1/persons/{name}",
      tag: "people",
      summary: "Change a person's role, or disable them",
      needs: "admin",
      params: named,
      body: z.object({ role: role.optional(), disabled: z.boolean().optional() }),
      answer: "Nothing.",
      data: nothing,
    },
    async (call) => {
      await setPerson(call.services, call.actor, { name: call.params.name, ...call.body });
      return {};
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/groups",
      tag: "people",
      summary: "List groups with their members",
      needs: "viewer",
      answer: "Groups by name.",
      data: groupLines,
    },
    (call) => listGroups(call.services),
  );
  router.add(
    {
      method: "post",
      path: "/v1/groups",
      tag: "people",
      summary: "Add a group",
      needs: "admin",
      body: z.object({ name: z.string(), members: z.array(z.string()).default([]) }),
      answer: "The group's id.",
      data: createdAnswer,
    },
    (call) => addGroup(call.services, call.actor, call.body),
  );
  router.add(
    {
      method: "post",
      path: "/v1/groups/{name}",
      tag: "people",
      summary: "Add and remove members of a group",
      needs: "admin",
      params: named,
      body: z.object({ add: z.array(z.string()).default([]), remove: z.array(z.string()).default([]) }),
      answer: "Nothing.",
      data: nothing,
    },
    async (call) => {
      await setGroup(call.services, call.actor, { name: call.params.name, ...call.body });
      return {};
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/consumers",
      tag: "people",
      summary: "List consumers",
      needs: "viewer",
      answer: "Consumers by name.",
      data: consumerLines,
    },
    (call) => listConsumers(call.services),
  );
  router.add(
    {
      method: "post",
      path: "/v1/consumers",
      tag: "people",
      summary: "Add a consumer: a dashboard, model, job or service that reads",
      needs: "editor",
      body: consumerBody,
      answer: "The consumer's id.",
      data: createdAnswer.extend({ notes }),
    },
    async (call) => {
      const { kind = "other", criticality = "normal", labels = {} } = call.body;
      const { id } = await addConsumer(call.services, call.actor, { ...call.body, kind, criticality, labels });
      return { id, notes: await ownerNotes(call.services, call.body.owner) };
    },
  );
  router.add(
    {
      method: "post",
      path: "/v1/consumers/{name}",
      tag: "people",
      summary: "Change what is known of a consumer, or disable it",
      needs: "editor",
      params: named,
      body: consumerBody.omit({ name: true }).extend({ disabled: z.boolean().optional() }),
      answer: "What is perhaps not meant.",
      data: z.object({ notes }),
    },
    async (call) => {
      // Who is asked about what moves for it hangs on this: nobody takes a consumer over, or makes it less critical, in passing.
      await requireOwner(call.services, call.principal, call.params.name);
      await refuseDeclared(call.services.db, call.params.name, call.body);
      await setConsumer(call.services, call.actor, { name: call.params.name, ...call.body });
      return { notes: await ownerNotes(call.services, call.body.owner) };
    },
  );
  router.add(
    {
      method: "get",
      path: "/v1/tokens",
      tag: "people",
      summary: "List tokens, never their text; all of them for admins, else one's own",
      needs: "viewer",
      answer: "Tokens.",
      data: tokenLines,
    },
    (call) => listTokens(call.services, ownOnly(call.principal)),
  );
  router.add(
    {
      method: "post",
      path: "/v1/tokens",
      tag: "people",
      summary: "Make a token for a person or a consumer",
      needs: "editor",
      body: z.object({
        person: z.string().optional(),
        consumer: z.string().optional(),
        label: z.string().default(""),
        days: z.number().int().min(1).max(3650).optional(),
      }),
      answer: "The token; its text is given this once.",
      data: tokenMade,
      keep: (made) => ({ ...(made as object), token: undefined }),
    },
    async (call) => {
      const { person, consumer } = call.body;
      if ((person === undefined) === (consumer === undefined)) {
        throw new AppError("usage.invalid", "A token belongs to one person or one consumer.", {
          expected: "person or consumer",
          hint: "tidegate token create --consumer <name>",
        });
      }
      if (person !== undefined && person !== selfOf(call.principal)) requireRole(call.principal, "admin");
      // What a consumer reads and reports decides when a rollout goes on: its word is its owner's to give away.
      if (consumer !== undefined) await requireOwner(call.services, call.principal, consumer);
      return createToken(call.services, call.actor, call.body);
    },
  );
  router.add(
    {
      method: "delete",
      path: "/v1/tokens/{id}",
      tag: "people",
      summary: "Revoke a token; one's own without being an admin",
      needs: "viewer",
      params: z.object({ id: z.string() }),
      answer: "Nothing.",
      data: nothing,
    },
    async (call) => {
      await revokeToken(call.services, call.actor, { id: call.params.id, owner: ownOnly(call.principal) });
      return {};
    },
  );
}
