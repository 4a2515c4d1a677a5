import { useState, type ReactNode } from "react";
import { Refusal } from "../api/client.ts";
import { Icon } from "./icon.tsx";

/** A command that does the same in a terminal, ready to be copied. */
export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    // Without a secure origin there is no clipboard: the text can still be selected.
    void navigator.clipboard?.writeText(text).then(() => setCopied(true));
  };
  return (
    <div className="cmd" role="group" aria-label="Command">
      <code tabIndex={0}>{text}</code>
      <button type="button" className="copy" onClick={copy} onBlur={() => setCopied(false)}>
        {copied ? "copied" : "copy"}
      </button>
    </div>
  );
}

/** Nothing here, why, and what to type. */
export function Empty({ title, children, command }: { title: string; children?: ReactNode; command?: string | undefined }) {
  return (
    <div className="none">
      <h2>{title}</h2>
      {children === undefined ? null : <div className="sub">{children}</div>}
      {command === undefined ? null : <Command text={command} />}
    </div>
  );
}

/** What went wrong, in the server's own words, with the next command to type. */
export function Failure({ error, again }: { error: unknown; again?: (() => void) | undefined }) {
  const refusal = error instanceof Refusal ? error : undefined;
  return (
    <div className="none failed" role="alert">
      <h2>
        <span className="c-fail">
          <Icon name="fail" />
        </span>{" "}
        {error instanceof Error ? error.message : String(error)}
      </h2>
      {refusal?.expected === undefined && refusal?.found === undefined ? null : (
        <p className="sub">
          {refusal.expected === undefined ? "" : `Expected ${refusal.expected}`}
          {refusal.found === undefined ? "." : `${refusal.expected === undefined ? "Found" : ", found"} ${refusal.found}.`}
        </p>
      )}
      {refusal?.hint === undefined ? null : isCommand(refusal.hint) ? (
        <Command text={refusal.hint} />
      ) : (
        <p className="sub">{refusal.hint}</p>
      )}
      {refusal === undefined ? null : <p className="dim s">{refusal.code}</p>}
      {again === undefined ? null : (
        <button type="button" className="btn" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Hints of the server are commands or sentences. */
export function isCommand(hint: string): boolean {
  return /^tidegate [^,]*$/.test(hint);
}

/** Room for what loads, as high as what comes: nothing jumps. */
export function Loading({ lines = 4, what }: { lines?: number; what: string }) {
  const widths = ["w72", "w48", "w88", "w56"];
  return (
    <div className="pad stack" role="status" aria-label={what}>
      {Array.from({ length: lines }, (_, at) => (
        <span key={at} className={`sk ${widths[at % widths.length]}`} />
      ))}
    </div>
  );
}
