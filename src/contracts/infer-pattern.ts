/* The form that all values of a column of codes share: `\d{5}`, `[A-Z]{2}-\d{3}`. */

const fewest = 20;
const mostShapes = 3;

type Piece = { kind: string; low: number; high: number };

function kindOf(char: string): string | undefined {
  if (/[0-9]/.test(char)) return "\\d";
  if (/[A-Z]/.test(char)) return "[A-Z]";
  if (/[a-z]/.test(char)) return "[a-z]";
  return /[-_/.:+#@ ]/.test(char) ? (/[-_:#@ ]/.test(char) ? char : `\\${char}`) : undefined;
}

function piecesOf(value: string): Piece[] | undefined {
  const pieces: Piece[] = [];
  for (const char of value) {
    const kind = kindOf(char);
    if (kind === undefined) return undefined;
    const last = pieces.at(-1);
    if (last?.kind === kind && kind.length > 1) {
      last.low += 1;
      last.high += 1;
    } else pieces.push({ kind, low: 1, high: 1 });
  }
  return pieces;
}

/** One regular expression for all values; undefined when they are too few, too long, or texts rather than codes. */
export function shapeOf(values: readonly string[]): string | undefined {
  const distinct = [...new Set(values)];
  if (distinct.length < fewest || distinct.some((value) => value.length === 0 || value.length > 40)) return undefined;
  const shapes = new Map<string, Piece[]>();
  for (const value of distinct) {
    const pieces = piecesOf(value);
    // Codes have digits or capitals; words do not.
    if (pieces === undefined || !pieces.some(({ kind }) => kind === "\\d" || kind === "[A-Z]")) return undefined;
    const key = pieces.map(({ kind }) => kind).join("");
    const known = shapes.get(key);
    if (known === undefined) shapes.set(key, pieces);
    else for (const [at, piece] of pieces.entries()) widen(known[at] as Piece, piece);
    if (shapes.size > mostShapes) return undefined;
  }
  const texts = [...shapes.values()].map((pieces) => pieces.map(text).join(""));
  return `^(?:${texts.toSorted().join("|")})$`.replace(/^\^\(\?:([^|]*)\)\$$/, "^$1$");
}

function widen(known: Piece, piece: Piece): void {
  known.low = Math.min(known.low, piece.low);
  known.high = Math.max(known.high, piece.high);
}

function text({ kind, low, high }: Piece): string {
  if (low === 1 && high === 1) return kind;
  return low === high ? `${kind}{${low}}` : `${kind}{${low},${high}}`;
}
