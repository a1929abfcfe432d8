/** The plugin's own modules: which file an import names, and the values its names have. */
import { dirname, join, normalize } from "node:path/posix"
import { STANDARD_LIBRARY } from "./standard-library.ts"
import { ownModule } from "./values.ts"

/** What the appliance itself gives to plugins. */
export const APPLIANCE: ReadonlySet<string> = new Set(["engine", "shared"])

export class OwnModules {
  private readonly folders = new Set<string>([""])
  /** By the name of a file or folder, without its ending, the folders it lies in: most imports begin with none of them. */
  private readonly foldersOf = new Map<string, Set<string>>()

  /** `environment`: top-level modules of the environment beside the standard library; unknown when left out. */
  constructor(
    private readonly files: ReadonlySet<string>,
    private readonly environment?: ReadonlySet<string>,
  ) {
    for (const file of files) {
      let folder = ""
      for (const part of file.replace(/\.py$/, "").split("/")) {
        const folders = this.foldersOf.get(part)
        if (folders === undefined) this.foldersOf.set(part, new Set([folder]))
        else folders.add(folder)
        folder = folder === "" ? part : `${folder}/${part}`
      }
      for (let folder = dirname(file); folder !== "."; folder = dirname(folder)) this.folders.add(folder)
    }
  }

  /** The module of a dotted name below a folder (`""` for the top), or null when the plugin has none. */
  find(folder: string, dotted: string): string | null {
    if (dotted !== "" && !this.foldersOf.has(dotted.split(".", 1)[0] ?? "")) return null
    const path = join(folder, dotted.replaceAll(".", "/"))
    return this.at(path === "." ? "" : path)
  }

  /** The module of a dotted name below any folder: for plugins that put folders of their own on the search path. */
  findAnywhere(dotted: string): string[] {
    const folders = [...(this.foldersOf.get(dotted.split(".", 1)[0] ?? "") ?? [])]
    return folders.map((folder) => this.find(folder, dotted)).filter((found) => found !== null)
  }

  hasFolder(name: string): boolean {
    return [...this.folders].some((folder) => folder === name || folder.endsWith(`/${name}`))
  }

  /** Whether an absolute import of a module finds the plugin's own: libraries come first, the plugin's top last. */
  isSurely(dotted: string): boolean {
    const top = dotted.split(".", 1)[0] ?? dotted
    const elsewhere = STANDARD_LIBRARY.has(top) || APPLIANCE.has(top) || this.environment?.has(top) !== false
    return !elsewhere && this.find("", top) !== null
  }

  /** The folder that `level` dots mean in a file; above the plugin's top it stays at the top. */
  static packageOf(file: string, level: number): string {
    const folder = normalize(join(dirname(file), ...Array.from({ length: level - 1 }, () => "..")))
    return folder === "." || folder.startsWith("..") ? "" : folder
  }

  private at(path: string): string | null {
    // Of a package and a module of one name Python takes the package.
    for (const file of [path === "" ? "__init__.py" : `${path}/__init__.py`, `${path}.py`]) {
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
