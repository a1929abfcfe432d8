/**
 * The scan's own process: one request on standard input; on standard output a line for each large file that is begun
 * and a last one with the report. It holds no secret, opens nothing but the files it is told, and is ended by the appliance when it takes too long.
 */
import { writeSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { type Scan, type ScanOptions, scanFiles } from "../validator/scan.ts"

export interface ScanRequest {
  /** Absolute, of the unpacked plugin. */
  readonly tree: string
  /** Of its Python files, inside the tree. */
  readonly paths: readonly string[]
  readonly options: Required<Pick<ScanOptions, "strict" | "ruleSet">> & { readonly environment?: readonly string[] }
}

export type ScanLine = { readonly file: string } | { readonly scan: Scan }

/** Smaller ones take no time worth a name. */
const LARGE_BYTES = 64 * 1024

/** Settles when the report is written. @throws when the request cannot be read: the exit code tells */
export async function runScanProcess(): Promise<void> {
  const request: ScanRequest = await Bun.stdin.json()
  const scan = await scanTree(request, (file, bytes) => {
    // At once: while the scan runs nothing else does. So few are large that their lines fit into the pipe.
    if (bytes >= LARGE_BYTES) writeSync(1, line({ file }))
  })
  await Bun.write(Bun.stdout, line({ scan }))
}

function line(content: ScanLine): string {
  return `${JSON.stringify(content)}\n`
}

/** Reads the files and scans them, here and now. */
export async function scanTree({ tree, paths, options }: ScanRequest, onFile?: ScanOptions["onFile"]): Promise<Scan> {
  const files = new Map<string, Uint8Array>()
  for (const path of paths) files.set(path, await readFile(join(tree, path)))
  const { environment, ...rest } = options
  return scanFiles(files, {
    ...rest,
    ...(onFile === undefined ? {} : { onFile }),
    ...(environment === undefined ? {} : { environment: new Set(environment) }),
  })
}
