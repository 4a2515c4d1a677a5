/** What a browser gets where the console was not built. Whole in itself: it asks for nothing else. */
export const frontPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tidegate</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #1c2430; background: #fff; }
pre { background: #f1f4f7; padding: 0.75rem 1rem; overflow-x: auto; border-radius: 4px; }
@media (prefers-color-scheme: dark) { body { color: #d8dee6; background: #12171d; } pre { background: #1c242d; } a { color: #8ab8ff; } }
</style>
<h1>Tidegate</h1>
<p>This is a Tidegate server: change management for data. Every change of data is proposed, diffed, merged, released and, if need be, rolled
back. Its console was not built here (npm run build builds it); the command line and the API do all there is.</p>
<p>In a terminal, in the folder in which the server was started:</p>
<pre>npx tidegate change list --state waiting
npx tidegate diff &lt;change&gt;
npx tidegate merge &lt;change&gt;</pre>
<p>The API is described in <a href="/v1/openapi.json">/v1/openapi.json</a>. It wants a token:</p>
<pre>npx tidegate token create --person &lt;name&gt;
curl -H "Authorization: Bearer &lt;token&gt;" &lt;this address&gt;/v1/changes</pre>
</html>
`;

/** Nothing from elsewhere, no script, in no frame. */
export const frontPageHeaders = {
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};
