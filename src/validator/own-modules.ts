/** The plugin's own modules: which file an import names, and the values its names have. */
import { dirname, join, normalize } from "node:path/posix"
import { ownModule } from "./values.ts"

export class OwnModules {
  private readonly folders = new Set<string>([""])
  /** Names of all files and folders, without their endings: most imports begin with none of them. */
  private readonly firstParts = new Set<string>()

  constructor(private readonly files: ReadonlySet<string>) {
    for (const file of files) {
      for (const part of file.replace(/\.py$/, "").split("/")) this.firstParts.add(part)
      for (let folder = dirname(file); folder !== "."; folder = dirname(folder)) this.folders.add(folder)
    }
  }

  /** The module of a dotted name below a folder (`""` for the top), or null when the plugin has none. */
  find(folder: string, dotted: string): string | null {
    if (dotted !== "" && !this.firstParts.has(dotted.split(".", 1)[0] ?? "")) return null
    const path = join(folder, dotted.replaceAll(".", "/"))
    return this.at(path === "." ? "" : path)
  }

  /** The folder that `level` dots mean in a file; above the plugin's top it stays at the top. */
  static packageOf(file: string, level: number): string {
    const folder = normalize(join(dirname(file), ...Array.from({ length: level - 1 }, () => "..")))
    return folder === "." || folder.startsWith("..") ? "" : folder
  }

  private at(path: string): string | null {
    for (const file of [`${path}.py`, path === "" ? "__init__.py" : `${path}/__init__.py`]) {
      if (this.files.has(file)) return ownModule(file)
    }
    return this.folders.has(path) ? ownModule(path) : null
  }

  /** A submodule reached as an attribute or by a from-import. */
  submodule(path: string, name: string): string | null {
    const folder = path.endsWith(".py")
      ? path === "__init__.py" || path.endsWith("/__init__.py")
        ? dirname(path)
        : null
      : path
    return folder === null ? null : this.find(folder === "." ? "" : folder, name)
  }
}
