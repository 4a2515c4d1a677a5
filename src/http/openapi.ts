/** Head of the API's description. */
export const openApiInfo = {
  openapi: "3.1.0",
  info: {
    title: "Tidegate",
    version: "1",
    description:
      "Change management for data. Every answer is `{ok, data}` or `{ok, error: {code, message, expected, found, hint}}`; rows are streamed as they are.",
  },
} as const;
