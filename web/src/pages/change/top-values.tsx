import { cellText, counted, grouped } from "../../lib/format.ts";
import { BeforeAfter } from "../../ui/chip.tsx";

interface Count {
  value: string;
  count: number;
}

const mostShown = 8;

/** The most frequent values of both sides: base an outline, candidate filled, so that a loss is an outline without a fill. */
export function TopValues({ name, before, after }: { name: string; before: readonly Count[]; after: readonly Count[] }) {
  const [left, right] = [byValue(before), byValue(after)];
  const values = [...new Set([...left.keys(), ...right.keys()])].toSorted(
    (a, b) =>
      Math.abs((right.get(b) ?? 0) - (left.get(b) ?? 0)) - Math.abs((right.get(a) ?? 0) - (left.get(a) ?? 0)) ||
      (left.get(b) ?? 0) - (left.get(a) ?? 0),
  );
  if (values.length === 0) return null;
  const most = Math.max(...left.values(), ...right.values());
  const share = (count: number | undefined): number => ((count ?? 0) / most) * 100;
  return (
    <table className="top">
      <caption className="sr">The most frequent values of {name}, those that move most first</caption>
      <tbody>
        {values.slice(0, mostShown).map((value) => (
          <tr key={value}>
            <th scope="row" title={value}>
              {cellText(value)}
            </th>
            <td className="bars" aria-hidden="true">
              <i className="was" style={{ width: `${share(left.get(value))}%` }} />
              <i className="is" style={{ width: `${share(right.get(value))}%` }} />
            </td>
            <td className="num">
              <BeforeAfter before={countText(value, left)} after={countText(value, right)} />
            </td>
          </tr>
        ))}
      </tbody>
      {values.length > mostShown ? (
        <tfoot>
          <tr>
            <td colSpan={3} className="dim">
              {counted(values.length - mostShown, "more value", "more values")}
            </td>
          </tr>
        </tfoot>
      ) : null}
    </table>
  );
}

/* So many of the most frequent values are told; of one that is not among them it is known that it is not more frequent. */
const mostTold = 10;

function countText(value: string, counts: ReadonlyMap<string, number>): string {
  const count = counts.get(value);
  if (count !== undefined) return grouped(count);
  return counts.size < mostTold ? "0" : `≤ ${grouped(Math.min(...counts.values()))}`;
}

function byValue(counts: readonly Count[]): Map<string, number> {
  return new Map(counts.map(({ value, count }) => [value, count]));
}
