/** A text that pretends to be a document. `fine`: an ordinary one after all, which may be taken. */
export interface HostileDocument {
  name: string;
  text: string;
  fine?: true;
}

const rows = (count: number, line: (at: number) => string): string => Array.from({ length: count }, (_, at) => line(at)).join("\n");
const head = "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nstatus: active\nschema:\n  - name: orders\n";

/** Texts that are hostile to whatever reads YAML or JSON, whatever it is about. */
export const hostileTexts: readonly HostileDocument[] = [
  { name: "billion laughs", text: `a0: &a0 [x, x]\n${rows(30, (at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}, *a${at}]`)}` },
  { name: "an alias inside of itself", text: "a: &a [*a, *a]\n" },
  { name: "merge keys", text: "base: &b {x: 1}\nother:\n  <<: *b\n  <<: *b\n" },
  { name: "anchors in keys", text: "&k key: 1\n*k : 2\n" },
  { name: "20 000 aliases", text: `a: &a 1\n${rows(20_000, (at) => `k${at}: *a`)}` },
  { name: "20 000 keys", text: rows(20_000, (at) => `k${at}: ${at}`) },
  { name: "one key, 20 000 times", text: rows(20_000, () => "key: 1") },
  { name: "100 000 brackets", text: "[".repeat(100_000) },
  { name: "50 000 braces", text: `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}` },
  { name: "1 300 levels of indentation", text: rows(1300, (at) => `${" ".repeat(at)}a:`) },
  { name: "20 000 dashes", text: `${"- ".repeat(20_000)}1` },
  { name: "20 000 question marks", text: `${"? ".repeat(20_000)}1` },
  { name: "257 spaces before a key", text: `${" ".repeat(257)}key: 1\n` },
  { name: "100 000 escaped line ends", text: `a: "${"\\\n".repeat(100_000)}"\n` },
  { name: "20 000 tags", text: `a: ${"!!str ".repeat(20_000)}x\n` },
  { name: "100 000 empty lines", text: "\n".repeat(100_000) },
  { name: "200 000 listed values", text: `[${"1,".repeat(200_000)}1]` },
  { name: "a megabyte of quotes", text: `"${"a".repeat(1_000_000)}` },
  { name: "20 000 documents", text: "---\na: 1\n".repeat(20_000) },
  { name: "5 MB", text: `a: ${"x".repeat(3_900_000)}\n` },
  { name: "keys of prototypes", text: "__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}\ntoString: 1\n" },
  { name: "keys of prototypes in JSON", text: '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}' },
  { name: "a tag of JavaScript", text: "a: !!js/function 'function () { process.exit(1) }'\nb: !!js/undefined ''\n" },
  { name: "numbers beyond all bounds", text: `a: 1e999\nb: -.inf\nc: .nan\nd: ${"9".repeat(50_000)}\n` },
  { name: "dates beyond all bounds", text: "a: 99999-99-99T99:99:99Z\nb: 0000-00-00\n" },
  { name: "names that steer a terminal", text: 'a: 1\n"\\e[2J\\e]0;owned\\a\\u202Eevil\\r": 2\n' },
  { name: "a lone surrogate", text: 'a: "\\uD800"\n' },
];

const rule = (keys: string): string => `${head}    quality:\n      - ${keys}\n`;
const column = (keys: string): string => `${head}    properties:\n      - ${keys}\n`;

/** Contracts; `{url}` is a server that nobody may speak to. */
export const hostileContracts: readonly HostileDocument[] = [
  {
    name: "10 000 rules",
    text: `${head}    quality:\n${rows(10_000, () => "      - {metric: rowCount, mustBeGreaterThan: 0}")}\n`,
    fine: true,
  },
  {
    name: "10 000 columns",
    text: `${head}    properties:\n${rows(10_000, (at) => `      - {name: c${at}, logicalType: string}`)}\n`,
    fine: true,
  },
  { name: "a reference to a server", text: `$ref: {url}/contract.yaml\n${head}` },
  {
    name: "a schema on a server",
    text: `${head}    $ref: "{url}/schema.yaml"\n    authoritativeDefinitions: [{url: "{url}/a", type: implementation}]\n`,
    fine: true,
  },
  {
    name: "a pattern that explodes",
    text: column('{name: name, logicalType: string, logicalTypeOptions: {pattern: "^(a+)+$"}}'),
    fine: true,
  },
  { name: "a pattern with lookahead", text: column('{name: name, logicalType: string, logicalTypeOptions: {pattern: "^(?=a)a"}}') },
  { name: "a pattern that refers back", text: column('{name: name, logicalType: string, logicalTypeOptions: {pattern: "(a)\\\\1"}}') },
  {
    name: "a pattern of huge counts",
    text: column('{name: name, logicalType: string, logicalTypeOptions: {pattern: "(a{1000}){1000}"}}'),
    fine: true,
  },
  {
    name: "a pattern of 100 000 characters",
    text: column(`{name: name, logicalType: string, logicalTypeOptions: {pattern: "${"(a|".repeat(30_000)}"}}`),
  },
  {
    name: "a condition that is a statement",
    text: rule(
      `{type: custom, engine: tidegate, implementation: {rule: quantile, at: 0.5, where: "1=1); drop table orders; --", mustBe: 1}}`,
    ),
  },
  {
    name: "a condition with a subquery",
    text: rule(
      `{type: custom, engine: tidegate, implementation: {rule: quantile, at: 0.5, where: "exists (from '/etc/passwd')", mustBe: 1}}`,
    ),
  },
  { name: "bounds beyond all bounds", text: rule("{metric: rowCount, mustBeLessThan: 1e999}") },
  { name: "two statements as a rule", text: rule('{type: sql, query: "select 1; drop table orders", mustBe: 1}'), fine: true },
];

export const hostilePolicies: readonly HostileDocument[] = [
  { name: "a limit that is SQL", text: 'rules:\n  - name: x\n    when: {changed: "> (select 1)"}\n' },
  {
    name: "a limit of 100 000 digits",
    text: `rules:\n  - name: x\n    when: {changed: "> ${"9".repeat(100_000)}"}\n    approvals: 1\n`,
    fine: true,
  },
  { name: "10 000 rules", text: `rules:\n${rows(10_000, (at) => `  - {name: r${at}, when: {}, approvals: 1}`)}\n` },
  { name: "a name of stars", text: `rules:\n  - name: x\n    when: {dataset: "${"*a".repeat(90)}"}\n    approvals: 1\n`, fine: true },
  { name: "a million approvals", text: "rules:\n  - name: x\n    when: {}\n    approvals: 1000000\n" },
];
