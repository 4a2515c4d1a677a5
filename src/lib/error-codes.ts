/** What kind of failure a code is; HTTP status and exit code follow from it. */
export const errorKinds = {
  invalid: { status: 400, exit: 2 },
  unauthenticated: { status: 401, exit: 2 },
  denied: { status: 403, exit: 2 },
  not_found: { status: 404, exit: 2 },
  conflict: { status: 409, exit: 3 },
  needs_approval: { status: 409, exit: 3 },
  failed_check: { status: 422, exit: 1 },
  inconclusive: { status: 422, exit: 4 },
  too_large: { status: 413, exit: 2 },
  unavailable: { status: 503, exit: 5 },
  internal: { status: 500, exit: 5 },
} as const;

export type ErrorKind = keyof typeof errorKinds;
