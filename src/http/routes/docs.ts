import style from "../../../node_modules/swagger-ui-dist/swagger-ui.css" with { type: "file" }
import bundle from "../../../node_modules/swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" }
import type { App } from "../app.ts"

/** Interactive documentation from files inside the binary; the policy forbids the browser any outside request. */
const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Mixpeek appliance API</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script></body>
</html>
`
const START = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", validatorUrl: null, persistAuthorization: true })\n`

const POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"

export function docsRoutes(app: App): void {
  const serve = (path: string, type: string, body: () => string | Blob) =>
    app.get(path, () => {
      const headers = { "Content-Type": type, "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff" }
      return new Response(body(), { headers })
    })
  app.get("/", (c) => c.redirect("/docs"))
  serve("/docs", "text/html; charset=utf-8", () => PAGE)
  serve("/docs/start.js", "text/javascript; charset=utf-8", () => START)
  serve("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", () => Bun.file(bundle))
  serve("/docs/swagger-ui.css", "text/css; charset=utf-8", () => Bun.file(style))
}
