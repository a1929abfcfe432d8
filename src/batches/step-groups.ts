/**
 * Consecutive steps of one resource class are a group, which is what is scheduled: it runs in one worker, with what its class is
 * given and no more. Its steps chain in memory; between two groups of a partition goes a file.
 */

/** As steps name it; "none" is what no class was named for. */
export type StepClass = "cpu" | "gpu" | "api" | "none"
/** What a worker holds while it runs: a share of the cores; those and a device; the network. */
export type ResourceClass = Exclude<StepClass, "none">

export interface StepGroup {
  /** Steps of the pipeline, the end not included. */
  readonly first: number
  readonly end: number
  readonly resources: ResourceClass
}

/**
 * At least one, in order, all steps in them. `hasGpu`: of this machine. Where there is none, the CPU computes for both classes, and a
 * step for a GPU parts nothing; its group still asks for one.
 */
export function stepGroups(classes: readonly StepClass[], hasGpu: boolean): [StepGroup, ...StepGroup[]] {
  const groups: [StepGroup, ...StepGroup[]] = [
    { first: 0, end: Math.min(1, classes.length), resources: at(classes, 0) },
  ]
  for (let index = 1; index < classes.length; index++) {
    const last = groups[groups.length - 1] ?? groups[0]
    const resources = joined(last.resources, at(classes, index), hasGpu)
    if (resources === null) groups.push({ first: index, end: index + 1, resources: at(classes, index) })
    else groups[groups.length - 1] = { first: last.first, end: index + 1, resources }
  }
  return groups
}

function at(classes: readonly StepClass[], index: number): ResourceClass {
  const named = classes[index] ?? "none"
  return named === "none" ? "cpu" : named
}

function joined(one: ResourceClass, next: ResourceClass, hasGpu: boolean): ResourceClass | null {
  if (one === next) return one
  return hasGpu || one === "api" || next === "api" ? null : "gpu"
}

/** The groups of one worker key's steps. */
export interface GroupPlan {
  readonly classes: readonly StepClass[]
  readonly groups: readonly [StepGroup, ...StepGroup[]]
}

/** The steps that `build_steps` gave this time are not those that were parted into groups. */
export class StepsChanged extends Error {
  override readonly name = "StepsChanged"
}

/** Which groups there are is learned with the first worker of a key; `most` keys are remembered, forgetting costs a start. */
export function groupPlans(most: number) {
  const plans = new Map<string, GroupPlan>()
  /** Steps that are other ones each time they are built stay together: which of them a worker has is known to itself alone. */
  const whole = new Set<string>()

  return {
    of: (key: string): GroupPlan | null => plans.get(key) ?? null,
    learn(key: string, classes: readonly StepClass[], hasGpu: boolean): GroupPlan {
      const known = plans.get(key)
      if (known !== undefined && this.holds(known, classes)) return known
      if (plans.size >= most) plans.clear()
      const plan = { classes, groups: whole.has(key) ? ([together(classes)] as const) : stepGroups(classes, hasGpu) }
      plans.set(key, plan)
      return plan
    },
    holds: ({ classes }: GroupPlan, built: readonly StepClass[]): boolean =>
      classes.length === built.length && classes.every((one, index) => one === built[index]),
    giveUp(key: string): void {
      if (whole.size >= most) whole.clear()
      whole.add(key)
      plans.delete(key)
    },
  }
}

function together(classes: readonly StepClass[]): StepGroup {
  const api = classes.length > 0 && classes.every((one) => one === "api")
  return { first: 0, end: classes.length, resources: api ? "api" : "cpu" }
}
