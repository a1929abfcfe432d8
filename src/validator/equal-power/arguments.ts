/** Arguments that make a harmless call run code from elsewhere, whatever the function is called. */
export interface ForbiddenArgument {
  readonly name: string
  /** Values that leave the call harmless, as they are written. */
  readonly safe: readonly string[]
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
    {
      name: "allow_dangerous_deserialization",
      safe: ["False", "None"],
      reason: "what it reads can run any code",
      instead: "Use json, safetensors or load_namespace_model.",
    },
  ].map((argument) => [argument.name, argument]),
)
