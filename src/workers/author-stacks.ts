/**
 * The stacks that a worker prints when it hangs or crashes, for the plugin's author: like tracebacks
 * (plugin_worker/tracebacks.py) they begin with the plugin's own frames and show no path of this machine. Plugin code may have
 * printed any of it; nothing is opened or looked up by what it says.
 */

export interface StackPlaces {
  /** Absolute, as the worker was given them. */
  readonly plugin: string
  readonly pythonTree: string
  readonly sitePackages: readonly string[]
}

interface Stack {
  readonly current: boolean
  /** The innermost last. */
  readonly frames: { file: string; words: string }[]
}

/** Of Python's faulthandler. */
const THREAD = /^(Current thread|Thread) 0x[0-9a-f]+.*\(most recent call first\):$/
const FRAME = /^ {2}File "(.*)", line (\d+|\?\?\?) in (.*)$/
const FATAL = /^Fatal Python error: /
/** One line with the names of all native libraries. */
const MODULES = /^Extension modules: /
const LIBRARY = /^.*\/lib\/python3\.\d+\/(?:(?:site|dist)-packages\/)?/

/** Of a stack that Python printed at the worker's end, and not of a traceback, which has a comma before "in". */
export function isStackLine(line: string): boolean {
  return [THREAD, FRAME, FATAL, MODULES].some((of) => of.test(line))
}

/** `output` itself where there is no stack in it; else the stacks, and after them what was printed besides. */
export function authorStacks(output: string, places: StackPlaces): string {
  const stacks: Stack[] = []
  const fatal: string[] = []
  const printed: string[] = []
  let stack: Stack | null = null
  for (const line of output.split("\n")) {
    const thread = THREAD.exec(line)
    const frame = FRAME.exec(line)
    if (thread !== null) {
      stack = { current: thread[1] === "Current thread", frames: [] }
      stacks.push(stack)
    } else if (frame !== null) {
      // What is kept of the output may begin amid a stack.
      if (stack === null) {
        stack = { current: false, frames: [] }
        stacks.push(stack)
      }
      const [, file = "", at = "", name = ""] = frame
      stack.frames.unshift({ file, words: `line ${at}, in ${name}` })
    } else if (FATAL.test(line)) fatal.push(line)
    else if (line !== "" && !MODULES.test(line)) printed.push(line)
  }
  if (stacks.length === 0) return output
  const told = stacks
    .toSorted((a, b) => Number(b.current) - Number(a.current))
    .flatMap((one) => {
      const lines = shown(one, places)
      return lines.length === 0 ? [] : [one.current ? lines : ["in another thread", ...lines]]
    })
  const rest = printed.length === 0 ? [] : [["printed before", ...printed]]
  return [...fatal, ...told.flat(), ...rest.flat()].join("\n")
}

/** Nothing of a thread in which no code of the plugin is under way, where it is not the one that ended the worker. */
function shown({ current, frames }: Stack, places: StackPlaces): string[] {
  const own: string[] = []
  const library: string[] = []
  for (const { file, words } of frames) {
    const inside = below(places.plugin, file)
    if (inside !== null) own.push(`${inside}, ${words}`)
    else if (below(`${places.pythonTree}/plugin_worker`, file) === null && !file.startsWith("<frozen "))
      library.push(`${shortened(file, places)}, ${words}`)
  }
  if (own.length === 0 && !current) return []
  return [...own, ...(own.length > 0 && library.length > 0 ? ["in libraries"] : []), ...library]
}

function shortened(file: string, { pythonTree, sitePackages }: StackPlaces): string {
  for (const place of [pythonTree, ...sitePackages]) {
    const inside = below(place, file)
    if (inside !== null) return inside
  }
  return LIBRARY.test(file) ? file.replace(LIBRARY, "") : (file.split("/").at(-1) ?? file)
}

function below(directory: string, file: string): string | null {
  return file.startsWith(`${directory}/`) ? file.slice(directory.length + 1) : null
}
