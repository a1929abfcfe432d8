import type { Db } from "./open.ts"

/** `start_time` is field 22 of /proc/<pid>/stat: a pid alone may by now be somebody else's. */
export interface ProcessRow {
  pid: number
  start_time: string
  kind: string
  created_at: string
}

export function processReader(db: Db) {
  const all = db.prepare<[], ProcessRow>("SELECT * FROM processes")
  return { all: () => all.all() }
}

export function processWriter(db: Db) {
  const insert = db.prepare<ProcessRow>(
    `INSERT INTO processes (pid, start_time, kind, created_at) VALUES (@pid, @start_time, @kind, @created_at)
     ON CONFLICT DO NOTHING`,
  )
  const remove = db.prepare<[number, string]>("DELETE FROM processes WHERE pid = ? AND start_time = ?")
  return {
    insert: (row: ProcessRow) => void insert.run(row),
    remove: (pid: number, startTime: string) => void remove.run(pid, startTime),
  }
}
