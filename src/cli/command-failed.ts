/** The work a command did ended badly: exit code 1. `reported`: the command has already said what and why. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed"
  readonly reported: boolean

  constructor(message: string, options: { reported?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.reported = options.reported ?? false
  }
}
