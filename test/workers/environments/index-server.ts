import { readdirSync } from "node:fs"
import { join } from "node:path"

/** A package index as PEP 503 has it; `login` (user:password) is asked for everything. */
export function serveIndex(directory: string, login?: string) {
  const asked: string[] = []
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      asked.push(new URL(request.url).pathname)
      const said = request.headers.get("Authorization")
      if (login !== undefined && said !== `Basic ${btoa(login)}`) {
        return new Response("", { status: 401, headers: { "WWW-Authenticate": "Basic" } })
      }
      const [, place, name] = new URL(request.url).pathname.split("/")
      if (place === "files") return new Response(Bun.file(join(directory, name ?? "")))
      const files = readdirSync(directory).filter((file) => file.split("-")[0]?.replaceAll("_", "-") === name)
      if (files.length === 0) return new Response("", { status: 404 })
      const links = await Promise.all(
        files.map(async (file) => {
          const sha256 = Bun.CryptoHasher.hash("sha256", await Bun.file(join(directory, file)).bytes(), "hex")
          return `<a href="/files/${file}#sha256=${sha256}">${file}</a>`
        }),
      )
      return new Response(`<!DOCTYPE html><html><body>${links.join("")}</body></html>`, {
        headers: { "Content-Type": "text/html" },
      })
    },
  })
  return { asked, url: `http://127.0.0.1:${server.port}/simple`, [Symbol.dispose]: () => void server.stop(true) }
}
