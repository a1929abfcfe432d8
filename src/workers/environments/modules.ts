import { readdirSync } from "node:fs"

/** Top-level modules that lie in these folders of packages. A folder that is not there has none. */
export function modulesIn(folders: readonly string[]): Set<string> {
  const modules = new Set<string>()
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      // `numpy`, `six.py`, `orjson.cpython-311-x86_64-linux-gnu.so`; `numpy-2.0.dist-info` is no module.
      const [, module] = /^([\p{L}_][\p{L}\p{N}_]*)(?:\.pyc?|\..*\.so|\.so|\..*\.pyd|\.pyd)?$/u.exec(name) ?? []
      if (module !== undefined) modules.add(module)
    }
  }
  return modules
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return []
    throw error
  }
}
