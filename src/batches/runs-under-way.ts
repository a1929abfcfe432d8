/** Runs that have partitions under way, and which of them may have no more: a plugin says in `max_concurrency` how many it takes. */

interface OfRun {
  readonly batch_id: string
  readonly collection_id: string
}

export function runsUnderWay() {
  const runs = new Map<string, { count: number; readonly most: number }>()
  return {
    /** Until it is disposed. `most` is asked once, at the first partition of a run; null: no limit. */
    begin({ batch_id, collection_id }: OfRun, most: () => number | null): Disposable {
      const key = `${batch_id}/${collection_id}`
      const run = runs.get(key) ?? { count: 0, most: most() ?? Number.POSITIVE_INFINITY }
      run.count += 1
      runs.set(key, run)
      return {
        [Symbol.dispose]() {
          run.count -= 1
          if (run.count === 0) runs.delete(key)
        },
      }
    },
    /** As `<batch>/<collection>`: what is to be passed by now. */
    full: (): string[] => [...runs].flatMap(([key, { count, most }]) => (count >= most ? [key] : [])),
  }
}
