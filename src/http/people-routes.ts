import { z } from "@hono/zod-openapi";
import {
  addConsumer,
  addGroup,
  addPerson,
  createToken,
  listConsumers,
  listGroups,
  listPersons,
  listTokens,
  revokeToken,
  setGroup,
  setPerson,
} from "../access/access-service.ts";
import { requireRole, roles } from "../access/principal.ts";
import { AppError } from "../lib/errors.ts";
import type { Router } from "./router.ts";

const role = z.enum(roles);
const named = z.object({ name: z.string() });

/** Persons, groups, consumers and tokens. */
export function addPeopleRoutes(router: Router): void {
  router.add({ method: "get", path: "/v1/persons", tag: "people", summary: "List persons", needs: "viewer", answer: "Persons by name." }, (call) => listPersons(call.services));
  router.add(
    {
      method: "post",
      path: "/v1/persons",
      tag: "people",
      summary: "Add a person",
      needs: "admin",
      body: z.object({ name: z.string(), email: z.string().optional(), role: role.default("editor") }),
      answer: "The person's id.",
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
    },
    async (call) => {
      await setPerson(call.services, call.actor, { name: call.params.name, ...call.body });
      return {};
    },
  );
  router.add({ method: "get", path: "/v1/groups", tag: "people", summary: "List groups with their members", needs: "viewer", answer: "Groups by name." }, (call) => listGroups(call.services));
  router.add(
    {
      method: "post",
      path: "/v1/groups",
      tag: "people",
      summary: "Add a group",
      needs: "admin",
      body: z.object({ name: z.string(), members: z.array(z.string()).default([]) }),
      answer: "The group's id.",
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
    },
    async (call) => {
      await setGroup(call.services, call.actor, { name: call.params.name, ...call.body });
      return {};
    },
  );
  router.add({ method: "get", path: "/v1/consumers", tag: "people", summary: "List consumers", needs: "viewer", answer: "Consumers by name." }, (call) => listConsumers(call.services));
  router.add(
    {
      method: "post",
      path: "/v1/consumers",
      tag: "people",
      summary: "Add a consumer: a dashboard, model, job or service that reads",
      needs: "editor",
      body: z.object({
        name: z.string(),
        kind: z.enum(["dashboard", "model", "job", "service", "person", "other"]).default("other"),
        criticality: z.enum(["low", "normal", "high", "critical"]).default("normal"),
        owner: z.string().optional(),
        labels: z.record(z.string(), z.string()).default({}),
      }),
      answer: "The consumer's id.",
    },
    (call) => addConsumer(call.services, call.actor, call.body),
  );
  router.add({ method: "get", path: "/v1/tokens", tag: "people", summary: "List tokens; never their text", needs: "admin", answer: "Tokens." }, (call) => listTokens(call.services));
  router.add(
    {
      method: "post",
      path: "/v1/tokens",
      tag: "people",
      summary: "Make a token for a person or a consumer",
      needs: "editor",
      body: z.object({ person: z.string().optional(), consumer: z.string().optional(), label: z.string().default(""), days: z.number().int().min(1).max(3650).optional() }),
      answer: "The token; its text is given this once.",
    },
    (call) => {
      const { person, consumer } = call.body;
      if ((person === undefined) === (consumer === undefined)) {
        throw new AppError("usage.invalid", "A token belongs to one person or one consumer.", { expected: "person or consumer", hint: "tidegate token create --consumer <name>" });
      }
      const own = call.principal.kind === "person" && person === call.principal.name;
      if (person !== undefined && !own) requireRole(call.principal, "admin");
      return createToken(call.services, call.actor, call.body);
    },
  );
  router.add(
    { method: "delete", path: "/v1/tokens/{id}", tag: "people", summary: "Revoke a token", needs: "admin", params: z.object({ id: z.string() }), answer: "Nothing." },
    async (call) => {
      await revokeToken(call.services, call.actor, call.params.id);
      return {};
    },
  );
}
