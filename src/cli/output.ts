/**
 * What commands print: human text and JSON on standard output, errors on standard error; colours only where a person
 * looks at a terminal.
 */
import Table from "cli-table3"
import picocolors from "picocolors"

/** picocolors also colours where CI is set; a log file of a build is no terminal. It honours NO_COLOR itself. */
export const colors = picocolors.createColors(process.stdout.isTTY === true && picocolors.isColorSupported)

export const CHECK = {
  passed: colors.green("✓"),
  failed: colors.red("✗"),
  skipped: colors.dim("–"),
  warning: colors.yellow("!"),
}

export function print(line = ""): void {
  process.stdout.write(`${line}\n`)
}

export function printError(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Columns aligned with spaces, without ruling, so that a row can be cut with common tools. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = new Table({
    head: head.map((title) => colors.bold(title)),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      right: "",
      "right-mid": "",
      middle: "",
    },
  })
  for (const row of rows) table.push([...row])
  for (const line of table.toString().split("\n")) print(line.trimEnd())
}

/** `12.3 MB`: what people compare with limits and disks, so powers of ten. */
export function bytes(count: number): string {
  for (const [unit, size] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ] as const) {
    if (count >= size) return `${(count / size).toFixed(1)} ${unit}`
  }
  return `${count} bytes`
}
