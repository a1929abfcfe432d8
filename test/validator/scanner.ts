import { createScanner, type Scan, type ScanOptions, type Violation } from "../../src/validator/scan.ts"

const bytesOf = (file: string) => Bun.file(new URL(`../../node_modules/${file}`, import.meta.url)).bytes()

export const scanner = await createScanner({
  treeSitterWasm: await bytesOf("web-tree-sitter/web-tree-sitter.wasm"),
  pythonGrammarWasm: await bytesOf("tree-sitter-python/tree-sitter-python.wasm"),
})

export type Sources = Record<string, string | Uint8Array>

export function scan(sources: Sources | string, options: Partial<ScanOptions> = {}): Scan {
  const files = typeof sources === "string" ? { "core.py": sources } : sources
  const bytes = Object.entries(files).map(([path, source]) => [path, Buffer.from(source)] as const)
  return scanner.scan(new Map(bytes), { strict: false, ...options })
}

export function violationsOf(result: Scan): Violation[] {
  return result.passed ? result.warnings : result.violations
}

/** `line:column message`, the explanation behind a name left out. */
export function briefly(result: Scan): string[] {
  return violationsOf(result).map(
    ({ line, column, message }) =>
      `${line}:${column} ${message.replace(/ \(.*$|: it leads.*$|: what it reads.*$/, "")}`,
  )
}
