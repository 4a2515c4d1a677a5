import type { ErrorCode } from "../lib/error-codes.ts";
import type { AppError } from "../lib/errors.ts";
import { toJson } from "../lib/json.ts";

/** What clients of Iceberg's protocol call our failures; what is not named here is called by its status. */
const typesOfCodes: Partial<Record<ErrorCode, string>> = {
  "dataset.not_found": "NoSuchTableException",
  "dataset.ambiguous": "NoSuchTableException",
  "namespace.not_found": "NoSuchNamespaceException",
  "warehouse.not_found": "NoSuchWarehouseException",
  "branch.not_found": "NoSuchWarehouseException",
  "consumer.not_found": "NoSuchWarehouseException",
};

const typesOfStatus: Readonly<Record<number, string>> = {
  400: "BadRequestException",
  401: "NotAuthorizedException",
  403: "ForbiddenException",
  404: "NotFoundException",
  413: "BadRequestException",
  503: "ServiceUnavailableException",
};

/** Statuses that clients would take for something else: 409 is a lost commit, and never the answer to a read. */
const statuses: Partial<Record<ErrorCode, number>> = { "view.lease_ended": 403, "dataset.ambiguous": 404, "request.too_large": 400 };

/** A failure as Iceberg's protocol has it. Clients print the message alone, so all that helps stands in it. */
export function icebergError(failure: AppError): { status: number; text: string } {
  const { code, expected, found, hint } = failure;
  const status = statuses[code] ?? failure.status;
  const facts = [expected === undefined ? "" : ` Expected: ${expected}.`, found === undefined ? "" : ` Found: ${found}.`];
  const message = `${failure.message}${facts.join("")}${hint === undefined ? "" : ` (${hint})`} [${code}]`;
  const type = typesOfCodes[code] ?? typesOfStatus[status] ?? "InternalServerError";
  return { status, text: toJson({ error: { message, type, code: status } }) };
}
