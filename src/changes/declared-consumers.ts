import { putDeclared } from "../access/consumer-service.ts";
import type { Mutation } from "../audit/mutation.ts";
import { readTexts } from "../catalog/document-store.ts";
import { consumerOfPath, parseConsumer } from "../consumers/consumer-document.ts";
import type { Ids } from "../edges/ids.ts";

/**
 * Lets what merged documents say of consumers take effect, inside the transaction of the merge: kind, owner and criticality hold from the
 * moment in which the tests beside them do, and not before. A document that a merge takes out leaves its consumer as it is: tokens and reads
 * hang on it.
 */
export async function putDeclaredConsumers(m: Mutation, ids: Ids, documents: ReadonlyMap<string, string | null>): Promise<void> {
  const edits = [...documents].flatMap(([path, hash]) => {
    const name = consumerOfPath(path);
    return name === undefined || hash === null ? [] : [{ name, hash }];
  });
  const texts = await readTexts(
    m.tx,
    edits.map(({ hash }) => hash),
  );
  for (const { name, hash } of edits.sort((a, b) => (a.name < b.name ? -1 : 1)))
    await putDeclared(m, ids, { name, ...parseConsumer(name, texts.get(hash) ?? "").declared });
}
