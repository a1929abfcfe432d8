/**
 * Writes `src/python/plugin_worker/syscalls_<machine>.py` from the kernel's headers on this machine (Debian's
 * linux-libc-dev), through the C preprocessor. aarch64 has no table of its own: it is the generic one with the switches of
 * arch/arm64/include/uapi/asm/unistd.h.
 *
 *   bun scripts/syscall-tables.ts
 */
import { join } from "node:path"

const TARGET = join(import.meta.dir, "../src/python/plugin_worker")

const MACHINES = [
  { machine: "x86_64", header: "asm/unistd_64.h", defines: [] },
  {
    machine: "aarch64",
    header: "asm-generic/unistd.h",
    defines: ["RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3", "MEMFD_SECRET"].map(
      (name) => `-D__ARCH_WANT_${name}`,
    ),
  },
] as const

/** In the generic table some calls carry the name that 32-bit machines know them by. */
const NAMES_IN_64_BIT: Record<string, string> = {
  "3264_fcntl": "fcntl",
  "3264_statfs": "statfs",
  "3264_fstatfs": "fstatfs",
  "3264_truncate": "truncate",
  "3264_ftruncate": "ftruncate",
  "3264_lseek": "lseek",
  "3264_sendfile": "sendfile",
  "3264_fstatat": "newfstatat",
  "3264_fstat": "fstat",
  "3264_mmap": "mmap",
  "3264_fadvise64": "fadvise64",
}

for (const { machine, header, defines } of MACHINES) {
  const source = new TextEncoder().encode(`#include <${header}>\n`)
  const preprocessor = Bun.spawnSync(["gcc", "-E", "-dM", ...defines, "-"], { stdin: source, stderr: "inherit" })
  if (preprocessor.exitCode !== 0) throw new Error(`gcc -E failed for ${header}`)
  const numbers = new Map<string, number>()
  for (const line of preprocessor.stdout.toString().split("\n")) {
    const [, name, number] = /^#define __NR_?(\w+) (\d+)$/.exec(line) ?? []
    if (name === undefined || number === undefined || name === "syscalls" || name === "arch_specific_syscall") continue
    numbers.set(NAMES_IN_64_BIT[name] ?? name, Number(number))
  }
  const lines = [...numbers].sort(([, a], [, b]) => a - b).map(([name, number]) => `    "${name}": ${number},`)
  const head = `"""Written by scripts/syscall-tables.ts from <${header}> of the kernel's headers. Not by hand."""`
  const text = `${head}\n\nfrom typing import Final\n\nNUMBERS: Final[dict[str, int]] = {\n${lines.join("\n")}\n}\n`
  await Bun.write(join(TARGET, `syscalls_${machine}.py`), text)
  process.stdout.write(`${machine}: ${numbers.size} system calls\n`)
}
