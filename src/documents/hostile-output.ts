/** What a worker left is not what it must be. Becomes `{ ok: false, reason }`; never leaves the documents process. */
export class HostileOutput extends Error {
  override readonly name = "HostileOutput"
}

/** Nothing is wrong with the output but its amount: of fewer rows it would be taken. */
export class OutputTooLarge extends HostileOutput {}
