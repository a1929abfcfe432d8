import { readdirSync, readFileSync } from "node:fs"

/** Of the process and all below it, by what /proc says now. */
export function descendants(pid: number): number[] {
  let children = ""
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      children += ` ${readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1")}`
    }
  } catch {
    return []
  }
  const direct = children.split(/\s+/).filter(Boolean).map(Number)
  return [...direct, ...direct.flatMap(descendants)]
}

/** False for a zombie: it holds nothing. */
export function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return false
  }
}
