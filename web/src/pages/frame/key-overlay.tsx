import { useEffect, useRef } from "react";
import { keysNow, setLetters, useLetters } from "../../lib/keys.ts";

/** All keys that do something on this page. */
export function KeyOverlay({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const letters = useLetters();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="keys-all" aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">Keys of this page</h2>
      <dl>
        {keysNow().map(({ key, does }) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>leave a field, close what was opened</dd>
        </div>
      </dl>
      <label className="row one">
        <input type="checkbox" checked={letters} onChange={(event) => setLetters(event.target.checked)} />
        Letters do something (turn it off if you steer by speech)
      </label>
      <form method="dialog">
        <button className="btn" type="submit">
          Close
        </button>
      </form>
    </dialog>
  );
}
