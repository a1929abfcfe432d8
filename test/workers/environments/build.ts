/** Builds the environment that the argument describes, in a process of its own; prints whether it built it. */
import { buildEnvironment } from "../../../src/workers/environments/environment.ts"

const { built } = await buildEnvironment({
  ...JSON.parse(process.argv[2] ?? ""),
  hostEnvironment: {},
  onLine: console.error,
})
console.log(built)
