import type { TestImpactAnswer } from "../../http/consumer-test-answers.ts";
import { withClient, type Surroundings } from "../command.ts";
import { impactLines } from "../impact-text.ts";
import { addVerb } from "../verb.ts";

/** impact: which stored queries a change of columns breaks. */
export function addImpactCommand(surroundings: Surroundings): void {
  addVerb(surroundings.program, "impact", "Tell which stored queries of consumers a change of columns breaks, without reading data.", [
    "tidegate impact chg_7fk2",
    "tidegate impact chg_7fk2 --json",
    "tidegate consumer test run --change chg_7fk2",
  ])
    .argument("<change>", "id of the change; its first letters, if they are unique")
    .action((id: string) =>
      withClient(surroundings, { doing: `Planning the queries that ${id} could break` }, async (client) => {
        const found = await client.ask<TestImpactAnswer[]>("GET", `/v1/changes/${encodeURIComponent(id)}/impact`);
        const out = surroundings.output();
        out.result(found, impactLines(out, found), `tidegate consumer test run --change ${id}`);
      }),
    );
}
