import { Argument, Command, Option } from "commander"
import {
  API_KEY,
  BASE_URL,
  DATA,
  INDEX,
  INDEX_CREDENTIALS,
  JSON_OUTPUT,
  LOG_LEVEL,
  NAMESPACE,
  PLUGIN_PATH,
  PYTHON,
} from "./options.ts"

/** Declared together, loaded apart: `plugin init` knows no worker, `plugin list` no scanner. */
export function pluginCommand(): Command {
  const plugin = new Command("plugin").description("make, test, publish and list feature-extractor plugins")
  for (const command of [
    initCommand(),
    testCommand(),
    publishCommand(),
    replayCommand(),
    listCommand(),
    rulesCommand(),
  ])
    plugin.addCommand(command)
  return plugin
}

function initCommand(): Command {
  return new Command("init")
    .description("write a new plugin from a template that works as it is")
    .addArgument(new Argument("<name>", "lower case letters, digits and _, 3 to 64 characters"))
    .addOption(
      new Option("--category <category>", "what the plugin reads")
        .choices(["text", "image", "video", "audio", "document", "multimodal"])
        .default("text"),
    )
    .option("--description <text>", "what the plugin does (default: made from name and category)")
    .option("--author <text>", "who wrote it")
    .option("--output <dir>", "directory in which <name>/ is made", ".")
    .option("--force", "write into a directory that is not empty")
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .action(async (name, options) => (await import("./plugin-init.ts")).pluginInit(name, options))
}

function testCommand(): Command {
  return new Command("test")
    .description("check a plugin on this machine; needs no server and no key")
    .addOption(PLUGIN_PATH())
    .option(
      "--sample-data <file>",
      "rows to run: a JSON array of objects, or CSV (default: rows made for the category)",
    )
    .option("--verbose", "show details, tracebacks and the first result")
    .option("--strict", "scan with the strict rules, as a server with MIXPEEK_STRICT_SCAN does")
    .addOption(DATA())
    .addOption(PYTHON())
    .addOption(INDEX())
    .addOption(INDEX_CREDENTIALS())
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .action(async (options) => (await import("./plugin-test.ts")).pluginTest(options))
}

function publishCommand(): Command {
  return new Command("publish")
    .description("check a plugin, upload it to a namespace and deploy it")
    .addOption(PLUGIN_PATH())
    .addOption(NAMESPACE())
    .option("--description <text>", "description of this version (default: the manifest's)")
    .option("--dry-run", "check and pack only; send nothing")
    .option("--no-deploy", "upload and confirm only")
    .option("--yes", "do not ask when the scan gives warnings")
    .addOption(API_KEY())
    .addOption(BASE_URL())
    .addOption(DATA())
    .addOption(PYTHON())
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .action(async (options) => (await import("./plugin-publish.ts")).pluginPublish(options))
}

function replayCommand(): Command {
  return new Command("replay")
    .description("run one failed row of a batch on this machine, with what the server gave the plugin")
    .requiredOption("--batch <id>", "the batch")
    .requiredOption("--row <number>", "the row, as failed-documents has it")
    .addOption(PLUGIN_PATH())
    .option("--bucket <id>", "the batch's bucket (default: asked of the server)")
    .option("--collection <id>", "whose error, where the row failed in several")
    .addOption(NAMESPACE())
    .addOption(API_KEY())
    .addOption(BASE_URL())
    .addOption(DATA())
    .addOption(PYTHON())
    .addOption(INDEX())
    .addOption(INDEX_CREDENTIALS())
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .action(async (options) => (await import("./plugin-replay.ts")).pluginReplay(options))
}

function rulesCommand(): Command {
  return new Command("rules")
    .description("explain what the scan looks for, why, and what to use instead")
    .option("--rule-set <name>", "seed-2026-01 or compat-2026-03 (default: MIXPEEK_RULE_SET, else seed-2026-01)")
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .action(async (options) => (await import("./plugin-rules.ts")).pluginRules(options))
}

function listCommand(): Command {
  return new Command("list")
    .description("list the extractors of a namespace")
    .addOption(NAMESPACE())
    .addOption(
      new Option("--source <source>", "whose extractors")
        .choices(["all", "builtin", "custom", "community"])
        .default("all"),
    )
    .addOption(API_KEY())
    .addOption(BASE_URL())
    .addOption(JSON_OUTPUT())
    .addOption(LOG_LEVEL())
    .action(async (options) => (await import("./plugin-list.ts")).pluginList(options))
}
