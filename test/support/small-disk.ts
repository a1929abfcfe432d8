import { mkdtempSync, rmSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A filesystem in memory that can be filled to its last byte without harm to the machine. */
export interface SmallDisk extends Disposable {
  /** Where files go; not there yet. */
  readonly directory: string
  /** Takes all room that is left. */
  fill(): void
  free(): void
}

/** Null where this user may not mount one. */
export function smallDisk(mebibytes: number): SmallDisk | null {
  const mount = mkdtempSync(join(tmpdir(), "mixpeek-small-disk-"))
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${mebibytes}m,mode=0700`, "tmpfs", mount])
  if (mounted.exitCode !== 0) {
    rmSync(mount, { recursive: true })
    return null
  }
  const ballast = (count: number) => join(mount, `ballast-${count}`)
  let pieces = 0
  return {
    directory: join(mount, "data"),
    fill() {
      for (;;) {
        const { bavail, bsize } = statfsSync(mount)
        if (bavail === 0) return
        // Somebody else may take or free some meanwhile: again, until there is none.
        Bun.spawnSync(["fallocate", "-l", String(bavail * bsize), ballast(pieces++)])
      }
    },
    free() {
      while (pieces > 0) rmSync(ballast(--pieces), { force: true })
    },
    [Symbol.dispose]() {
      Bun.spawnSync(["umount", "-l", mount])
      rmSync(mount, { recursive: true, force: true })
    },
  }
}
