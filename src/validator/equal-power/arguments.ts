/** Arguments that make a harmless call run code from elsewhere, whatever the function is called. */
export interface ForbiddenArgument {
  readonly name: string
  /** Values that leave the call harmless, as they are written. */
  readonly safe: readonly string[]
  /** Functions and methods, by their last name, for which the argument means something else. */
  readonly except?: readonly string[]
  readonly reason: string
  readonly instead: string
}

const without = "Leave it out, and use a model or data set that needs no code of its own."

export const FORBIDDEN_ARGUMENTS: ReadonlyMap<string, ForbiddenArgument> = new Map(
  [
    {
      name: "trust_remote_code",
      safe: ["False", "None"],
      reason: "runs code that is downloaded with the model or data set",
      instead: without,
    },
    {
      // Of diffusers: the name of a repository or folder whose `pipeline.py` is run.
      name: "custom_pipeline",
      safe: ["None"],
      reason: "runs code that is downloaded with the model or data set",
      instead: without,
    },
    ...["allow_pickle", "weights_only"].map((name) => ({
      name,
      safe: name === "weights_only" ? ["True", "None", "1"] : ["False", "0"],
      // What writes a pickle runs nothing.
      except: ["save", "savez", "savez_compressed", "write_array"],
      reason: "what it reads can run any code",
      instead: "Leave it as it is by itself, or use safetensors or load_namespace_model.",
    })),
    ...["co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars"].map((name) => ({
      name,
      safe: [],
      reason: "makes code objects",
      instead: "Write the code out.",
    })),
    {
      name: "allow_dangerous_deserialization",
      safe: ["False", "None"],
      reason: "what it reads can run any code",
      instead: "Use json, safetensors or load_namespace_model.",
    },
  ].map((argument: ForbiddenArgument) => [argument.name, argument]),
)
