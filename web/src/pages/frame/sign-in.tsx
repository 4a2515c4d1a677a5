import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../../api/client.ts";
import { Icon } from "../../ui/icon.tsx";
import { Command, Failure } from "../../ui/states.tsx";

/** Whoever is not signed in learns how to get in: by a link from the terminal, or by a token. */
export function SignIn({ refused }: { refused: string | undefined }) {
  const client = useQueryClient();
  const [token, setToken] = useState("");
  const enter = useMutation({
    mutationFn: () => ask("POST /v1/session", { body: { token: token.trim() } }),
    onSuccess: () => client.resetQueries(),
  });
  return (
    <main id="main" className="alone">
      <section className="panel enter">
        <h1 className="brand">
          <Icon name="brand" />
          Tidegate
        </h1>
        {refused === undefined ? null : (
          <p role="alert">
            <span className="c-fail">
              <Icon name="fail" />
            </span>{" "}
            {refused}
          </p>
        )}
        <div className="stack tight">
          <p>On the machine of the server, in its folder: this makes a link that opens the console once.</p>
          <Command text="npx tidegate console" />
        </div>
        <form
          className="stack tight"
          onSubmit={(event) => {
            event.preventDefault();
            enter.mutate();
          }}
        >
          <label htmlFor="token">Or with a person’s token</label>
          <div className="row one">
            <span className="field">
              <input
                id="token"
                type="password"
                autoComplete="off"
                placeholder="tg_…"
                value={token}
                onChange={(event) => setToken(event.target.value)}
              />
            </span>
            <button className="btn go" type="submit" disabled={enter.isPending || token.trim() === ""}>
              Sign in
            </button>
          </div>
        </form>
        {enter.error === null ? null : <Failure error={enter.error} />}
      </section>
    </main>
  );
}
