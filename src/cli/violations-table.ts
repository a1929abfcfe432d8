import { readFile } from "node:fs/promises"
import type { Violation } from "../validator/scan.ts"
import { colors, printTable } from "./output.ts"
import type { PluginDirectory } from "./plugin-directory.ts"

const SHOWN_SOURCE = 60

/** Where, what, and the source line itself. Files that are not on this machine are named without it. */
export async function printViolations(violations: readonly Violation[], plugin: PluginDirectory): Promise<void> {
  const lines = new Map<string, string[]>()
  for (const { path, absolute } of plugin.files) {
    if (violations.some(({ file }) => file === path))
      lines.set(path, (await readFile(absolute, "utf8")).split(/\r\n|\r|\n/))
  }
  printTable(
    ["WHERE", "SEVERITY", "MESSAGE", "SOURCE"],
    violations.map(({ file, line, column, severity, message }) => [
      `${file}:${line}:${column}`,
      severity === "error" ? colors.red(severity) : colors.yellow(severity),
      message,
      colors.dim(shorten((lines.get(file)?.[line - 1] ?? "").trim())),
    ]),
  )
}

function shorten(text: string): string {
  // The plugin's own bytes: a control character would reach the terminal.
  const plain = text.replaceAll(/\p{Cc}/gu, " ")
  return plain.length > SHOWN_SOURCE ? `${plain.slice(0, SHOWN_SOURCE)}…` : plain
}
