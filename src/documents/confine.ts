/**
 * The documents process reads files that hostile code wrote, with a large library. So it gives up every file but parts, spool
 * and what its own program is made of, and the network, by Landlock; and then becomes its own program once more, since
 * Landlock binds the threads that are started later and Bun has started some by now.
 */
import { closeSync, constants, existsSync, mkdirSync, openSync, realpathSync, statSync } from "node:fs"
import { join } from "node:path"

/** linux/landlock.h and prctl.h; the numbers of the calls are those of every architecture. */
const CREATE_RULESET = 444
const ADD_RULE = 445
const RESTRICT_SELF = 446
const VERSION_FLAG = 1
const PATH_BENEATH = 1
const PR_SET_NO_NEW_PRIVS = 38
const O_PATH = 0o10000000

const EXECUTE = 1n << 0n
const WRITE_FILE = 1n << 1n
const READ_FILE = 1n << 2n
const READ_DIR = 1n << 3n
const REMOVE_DIR = 1n << 4n
const REMOVE_FILE = 1n << 5n
const MAKE_DIR = 1n << 7n
const MAKE_REG = 1n << 8n
const REFER = 1n << 13n
const TRUNCATE = 1n << 14n
const IOCTL_DEV = 1n << 15n
const READ = READ_FILE | READ_DIR
const WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER
const OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

/** Skipped where absent. */
const SYSTEM_FILES = [
  "/etc/ld.so.cache",
  "/etc/localtime",
  "/usr/share/zoneinfo",
  "/proc/self",
  "/proc/meminfo",
  "/proc/cpuinfo",
  "/proc/stat",
  "/proc/sys/vm",
  "/sys/devices/system",
  "/sys/fs/cgroup",
]
/** The loader of the program is a program too, to the kernel. */
const LIBRARIES = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
const DEVICES = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"]

const CONFINED = "confined"

interface Confinement {
  /** argv of the program it becomes, the program's path first. */
  readonly command: readonly string[]
  readonly dataDir: string
  /** Where its native libraries and, in development, its sources lie. */
  readonly readable: readonly string[]
}

/** Where what it may write lies; made when missing, since a rule is for a directory that is there. */
function documentDirectories(dataDir: string): string[] {
  return [join(dataDir, "documents"), join(dataDir, "spool")]
}

/**
 * `documents-process <data directory> [native directory]` becomes the same with `confined` (or why it is not) as its third
 * argument. Answers the native directory once there is nothing more to give up.
 */
export async function becomeConfined(own: readonly string[], given: readonly string[]): Promise<string | null> {
  const [dataDir = "", native = "", state] = given
  if (state === undefined && dataDir !== "") {
    const problem = await confineAndBecome({
      command: [...own, "documents-process", dataDir, native, CONFINED],
      dataDir,
      // In development the program is Bun, and what it runs lies beside this file.
      readable: native === "" ? [join(import.meta.dir, "../..")] : [native],
    })
    console.error(`the documents process is not confined: ${problem}`)
  }
  return native === "" ? null : native
}

/**
 * Does not come back where Landlock works. Comes back, and answers why, where it does not: the process holds no secret and
 * no metadata, and documents are read on such a machine as well.
 */
async function confineAndBecome({ command, dataDir, readable }: Confinement): Promise<string> {
  if (process.platform !== "linux") return "there is no Landlock but on Linux"
  const { dlopen, ptr } = await import("bun:ffi")
  const u64 = "u64" as const
  const libc = dlopen("libc.so.6", {
    syscall: { args: ["i64", u64, u64, u64, u64], returns: "i64" },
    prctl: { args: ["i32", u64, u64, u64, u64], returns: "i32" },
    execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  }).symbols
  const call = (number: number, ...values: (number | bigint)[]) => {
    const [a = 0n, b = 0n, c = 0n, d = 0n] = values.map(BigInt)
    return Number(libc.syscall(BigInt(number), a, b, c, d))
  }

  const abi = call(CREATE_RULESET, 0, 0, VERSION_FLAG)
  if (abi < 1) return "the kernel has no Landlock, or it is switched off"
  const handled =
    ((1n << 13n) - 1n) | (abi >= 2 ? REFER : 0n) | (abi >= 3 ? TRUNCATE : 0n) | (abi >= 5 ? IOCTL_DEV : 0n)
  // Files; binding and connecting; abstract sockets and signals: what the kernel does not know yet must not be named.
  const attributes = BigUint64Array.from([handled, ...(abi >= 4 ? [3n] : []), ...(abi >= 6 ? [3n] : [])])
  const ruleset = call(CREATE_RULESET, ptr(attributes), attributes.byteLength, 0)
  if (ruleset < 0) return "the kernel made no ruleset"

  const grant = (path: string, rights: bigint) => {
    if (!existsSync(path)) return
    const descriptor = openSync(path, O_PATH | constants.O_RDONLY)
    const allowed = rights & handled & (statSync(path).isDirectory() ? handled : OF_FILES)
    // struct landlock_path_beneath_attr is packed: 8 and 4 bytes.
    const rule = Buffer.alloc(12)
    rule.writeBigUInt64LE(allowed, 0)
    rule.writeInt32LE(descriptor, 8)
    const answer = call(ADD_RULE, ruleset, PATH_BENEATH, ptr(rule), 0)
    closeSync(descriptor)
    if (answer < 0) throw new Error(`Landlock took no rule for ${path}`)
  }
  const [program = ""] = command
  grant(realpathSync(program), READ | EXECUTE)
  for (const path of LIBRARIES) grant(path, READ | EXECUTE)
  for (const path of [...SYSTEM_FILES, ...readable]) grant(path, READ)
  for (const path of DEVICES) grant(path, READ_FILE | WRITE_FILE)
  for (const path of documentDirectories(realpathSync(dataDir))) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    grant(path, WRITE)
  }
  if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n) !== 0) return "the kernel refused no_new_privs"
  if (call(RESTRICT_SELF, ruleset, 0) !== 0) return "the kernel did not take the ruleset"

  const strings = (texts: readonly string[]) => {
    const kept = texts.map((text) => Buffer.from(`${text}\0`))
    return { kept, pointers: BigUint64Array.from([...kept.map((bytes) => BigInt(ptr(bytes))), 0n]) }
  }
  const argv = strings(command)
  const environment = strings(Object.entries(process.env).map(([name, value]) => `${name}=${value}`))
  libc.execve(ptr(Buffer.from(`${program}\0`)), ptr(argv.pointers), ptr(environment.pointers))
  // The ruleset is in force, and there is no way back to a process that could do its work.
  throw new Error(`${program} cannot be started under Landlock`)
}
