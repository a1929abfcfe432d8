/** The test runner's junit report, case by case. */
export interface Case {
  readonly file: string
  readonly name: string
  readonly outcome: "passed" | "failed" | "skipped"
  /** Why it was skipped; of one that failed its seconds and what was expected. */
  readonly reason: string
}

export function readCases(xml: string): Case[] {
  return [...xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(
    ([, attributes = "", body = ""]) => {
      const attribute = (key: string) => unescapeXml(new RegExp(`\\b${key}="([^"]*)"`).exec(attributes)?.[1] ?? "")
      const [, kind = "", said = ""] = /<(failure|error|skipped)\b(?:[^>]*message="([^"]*)")?/.exec(body) ?? []
      const outcome = kind === "" ? "passed" : kind === "skipped" ? "skipped" : "failed"
      const reason = outcome === "failed" ? `${attribute("time")} s: ${unescapeXml(said)}` : unescapeXml(said)
      return { file: attribute("file"), name: attribute("name"), outcome, reason }
    },
  )
}

function unescapeXml(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" }
  return text.replace(/&(?:(lt|gt|quot|apos|amp)|#(\d+));/g, (_, name?: string, code?: string) =>
    name === undefined ? String.fromCodePoint(Number(code)) : (entities[name] ?? ""),
  )
}
