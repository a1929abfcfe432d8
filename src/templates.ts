/**
 * The sample plugins, carried by the binary as the templates of `plugin init`. A sample is a complete plugin named
 * `<category>_features`; a new plugin is that text with the name replaced, so templates and samples cannot drift apart.
 */
import { textTree } from "./text-tree.ts" with { type: "macro" }

const SAMPLES: Record<string, string> = textTree("../plugins-sample")

export const CATEGORIES = ["text", "image", "video", "audio", "document", "multimodal"] as const
export type Category = (typeof CATEGORIES)[number]

export interface TemplateValues {
  readonly name: string
  readonly description: string
  /** Empty leaves the author out. */
  readonly author: string
}

/** The files of a sample as they are: path inside the plugin → text. */
export function templateFiles(category: Category): Record<string, string> {
  const prefix = `${category}/`
  const files = Object.entries(SAMPLES).filter(([path]) => path.startsWith(prefix))
  return Object.fromEntries(files.map(([path, text]) => [path.slice(prefix.length), text]))
}

/** The files of a new plugin. @throws Error when a sample has lost the place where its description stands */
export function instantiateTemplate(category: Category, values: TemplateValues): Record<string, string> {
  const files = Object.entries(templateFiles(category)).map(([path, text]) => {
    const renamed = text.replaceAll(`${category}_features`, values.name)
    if (path === "manifest.py") return [path, describeManifest(renamed, values)]
    if (path === "README.md") return [path, describeReadme(renamed, values)]
    return [path, renamed]
  })
  return Object.fromEntries(files)
}

/** The line is the one in `metadata`: fields of the schemas write `description=`. */
function describeManifest(text: string, { description, author }: TemplateValues): string {
  return replaceOnce(text, /^( *)"description": ".*",$/m, (indent) => {
    const lines = [`"description": ${pythonString(description)},`]
    if (author !== "") lines.push(`"author": ${pythonString(author)},`)
    return lines.map((line) => `${indent}${line}`).join("\n")
  })
}

/** The paragraph under the title says what the plugin does. */
function describeReadme(text: string, { description, author }: TemplateValues): string {
  const paragraphs = author === "" ? description : `${description}\n\nAuthor: ${author}`
  return replaceOnce(text, /^(# .+\n\n)(?:.+\n)+/, (title) => `${title}${paragraphs}\n`)
}

function replaceOnce(text: string, place: RegExp, replacement: (kept: string) => string): string {
  if (!place.test(text)) throw new Error(`the template has nothing that matches ${place}`)
  return text.replace(place, (_, kept: string) => replacement(kept))
}

/** JSON's escapes mean the same in a Python string. */
function pythonString(text: string): string {
  return JSON.stringify(text)
}
