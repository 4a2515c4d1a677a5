import { Fragment } from "react";

/** A long name, which breaks only where its parts end. */
export function Name({ text }: { text: string }) {
  const parts = text.split(/(?<=[_.])/);
  return parts.map((part, at) => (
    <Fragment key={at}>
      {at === 0 ? null : <wbr />}
      {part}
    </Fragment>
  ));
}
