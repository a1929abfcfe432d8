/** What one row of the tables of equal power says. The tables are data: `lookup.ts` reads them, `policy.ts` shows them. */
export interface EqualPower {
  /** The name in the seed's table (or the builtin) that has the same power. */
  readonly like: string
  readonly severity: "error" | "warning"
  readonly reason: string
  /** What to use in its place. */
  readonly instead: string
  /** Modules: every form of import of them and of what lies below them. */
  readonly modules?: readonly string[]
  /**
   * Qualified names: `signal.pthread_kill`; `a.b().c` is an attribute of what a call of `a.b` answers; `.f_globals` is an
   * attribute of any object.
   */
  readonly names?: readonly string[]
  /** Uses that have no such power and pass. Without it every reference counts, called or not. */
  readonly unless?: Unless
}

export type Unless =
  /** Decided by the arguments of the call; `absent` is what an argument left out means. */
  | {
      readonly kind: "argument"
      readonly name: string
      readonly position: number
      /** As it is written; null when whatever is given is judged on its own. */
      readonly safe: string | null
      readonly absent: "passes" | "warns"
    }
  /** All arguments are string constants without `__`: an attribute that is named after all. */
  | { readonly kind: "constant" }
  /** Only looked at: `print(sys.path)`, `p in sys.path`; the plugin's own folder, whose files are scanned, may be added. */
  | { readonly kind: "read" }
  /** Only compared with: `isinstance(x, types.FunctionType)`, an annotation. */
  | { readonly kind: "tested" }
