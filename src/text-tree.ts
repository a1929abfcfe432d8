import { readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"

/**
 * Text files below a directory, as path → content. Called as a macro: the build (and Bun's transpiler in development)
 * runs it and puts the result into the bundle, so that the binary carries the trees and reads no source at run time.
 */
export function textTree(directory: string): Record<string, string> {
  const root = join(import.meta.dir, directory)
  const tree: Record<string, string> = {}
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name)
      if (entry.name === "__pycache__" || entry.name === ".pytest_cache") continue
      if (entry.isDirectory()) walk(path)
      else if (/\.(py|txt|md|typed)$/.test(entry.name)) {
        tree[relative(root, path).split(sep).join("/")] = readFileSync(path, "utf8")
      }
    }
  }
  walk(root)
  return tree
}
