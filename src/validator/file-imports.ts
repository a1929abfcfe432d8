/** What the import statements of one file bring: modules of the plugin, of the environment, or perhaps either. */
import type { FileBindings, Import } from "./binding-records.ts"
import { OwnModules } from "./own-modules.ts"
import type { Reachability } from "./reachability.ts"
import { type Scope, Slot } from "./scopes.ts"
import type { SharedNames } from "./shared-names.ts"
import { ownModulePath, unique } from "./values.ts"
import { moduleValue } from "./vocabulary.ts"

export class FileImports {
  /** By the place of the import among the file's. */
  private readonly modules: (readonly string[])[] = []
  private readonly stars: readonly Import[]

  constructor(
    private readonly plugin: SharedNames,
    private readonly path: string,
    private readonly bindings: FileBindings,
  ) {
    this.stars = bindings.imports.filter(({ name }) => name === "*")
  }

  /** What the module that an import names may be. */
  modulesOf(index: number, { level, module, name, bindsTop }: Import): readonly string[] {
    let modules = this.modules[index]
    if (modules === undefined) {
      modules = this.named(level, bindsTop && name === null ? (module.split(".", 1)[0] ?? module) : module)
      this.modules[index] = modules
    }
    return modules
  }

  /** Imports of modules that import this one: while they run, they may call what is defined here further up. */
  back(): Import[] {
    return this.bindings.imports.filter((statement) =>
      this.filesOf(statement).some((file) => this.plugin.inOneCycle(file, this.path)),
    )
  }

  /** Paths of the plugin's files that this one imports from. */
  files(): string[] {
    return this.bindings.imports.flatMap((statement) => this.filesOf(statement))
  }

  /** Whether `from .own import *` has surely bound the name when `node`, in `scope`, reads it. */
  starHides(name: number, node: number, scope: Scope, reachability: Reachability): boolean {
    return this.stars.some((statement) => {
      if (!this.plugin.spend(1)) return false
      if (statement.level === 0 && !this.plugin.own.isSurely(statement.module)) return false
      const star = new Slot(name, -1)
      star.bindings.push({ kind: "import", node: statement.node, from: statement.scope, callable: null })
      return (
        this.named(statement.level, statement.module).some((value) => this.plugin.surelyExports(value, name)) &&
        !reachability.mayBeUnbound(this.bindings.module, star, node, scope)
      )
    })
  }

  private filesOf({ level, module, name }: Import): string[] {
    const found: string[] = []
    for (const value of this.named(level, module)) {
      const path = ownModulePath(value)
      if (path === null) continue
      found.push(path)
      const submodule = name === null ? null : ownModulePath(this.plugin.own.submodule(path, name) ?? "")
      if (submodule !== null) found.push(submodule)
    }
    return found
  }

  private named(level: number, module: string): string[] {
    const { own } = this.plugin
    if (level > 0) {
      const relative = own.find(OwnModules.packageOf(this.path, level), module)
      return relative === null ? [] : [relative]
    }
    // A plugin's files import one another absolutely too, by the folder they lie in or by the plugin's top.
    const absolute = [own.find("", module), own.find(OwnModules.packageOf(this.path, 1), module)]
    const found = absolute.filter((path) => path !== null)
    if (this.plugin.extendsSearch) found.push(...own.findAnywhere(module))
    return unique(found.length > 0 && own.isSurely(module) ? found : [moduleValue(module), ...found])
  }
}
