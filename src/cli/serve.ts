import { availableParallelism } from "node:os"
import { Command } from "commander"
import { startAppliance } from "../appliance.ts"
import { type ConfigOptions, readConfig } from "../config.ts"
import { createLog } from "../log.ts"
import { DATA, INDEX, INDEX_CREDENTIALS, LOG_LEVEL, MINIMUM_ISOLATION, PYTHON } from "./options.ts"
import { print } from "./output.ts"

export function serveCommand(): Command {
  return new Command("serve")
    .description("run the appliance: the HTTP API, its workers and its data directory")
    .addOption(DATA())
    .option("--host <address>", "address to listen on (env: MIXPEEK_HOST, default: 127.0.0.1)")
    .option("--port <number>", "port to listen on, 0 for a free one (env: MIXPEEK_PORT, default: 8080)")
    .option("--public-url <url>", "address that clients use, for presigned URLs (env: MIXPEEK_PUBLIC_URL)")
    .option("--workers <number>", "batch workers at once (env: MIXPEEK_WORKERS, default: the number of cores)")
    .option("--strict-scan", "scan warnings refuse a plugin too (env: MIXPEEK_STRICT_SCAN)")
    .option(
      "--allow-unsandboxed",
      "listen beyond this machine although plugin code is isolated below standard (env: MIXPEEK_ALLOW_UNSANDBOXED)",
    )
    .addOption(MINIMUM_ISOLATION())
    .addOption(PYTHON())
    .addOption(INDEX())
    .addOption(INDEX_CREDENTIALS())
    .addOption(LOG_LEVEL())
    .action(async (options: ConfigOptions) => {
      const config = readConfig(options, availableParallelism())
      const log = createLog(config.logLevel)
      await using appliance = await startAppliance(config, log)
      if (appliance.firstKey !== null) {
        print(`admin key: ${appliance.firstKey}`)
        print(`           shown this once; kept in ${config.dataDir}/admin.key`)
      } else print(`admin key: in ${config.dataDir}/admin.key`)
      for (const notice of appliance.notices) print(notice)
      print(`mixpeek is listening on ${appliance.url}   (documentation: ${appliance.url}/docs)`)
      const signal = await stopSignal()
      log.info({ event: "stopping", signal }, "stopping")
    })
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal))
  })
}
