/** The test runner's junit report, case by case. */
export interface Case {
  readonly file: string
  readonly name: string
  readonly outcome: "passed" | "failed" | "skipped"
  readonly reason: string
}

export function readCases(xml: string): Case[] {
  return [...xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(
    ([, attributes = "", body = ""]) => {
      const attribute = (key: string) => unescapeXml(new RegExp(`\\b${key}="([^"]*)"`).exec(attributes)?.[1] ?? "")
      const skipped = /<skipped\b(?:[^>]*message="([^"]*)")?/.exec(body)
      const outcome = /<(failure|error)\b/.test(body) ? "failed" : skipped === null ? "passed" : "skipped"
      return { file: attribute("file"), name: attribute("name"), outcome, reason: unescapeXml(skipped?.[1] ?? "") }
    },
  )
}

function unescapeXml(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" }
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => entities[name] ?? "")
}
