import { Option } from "commander"

/** Options that several commands share, so that they read the same everywhere. Each call makes a fresh one. */
export const API_KEY = () => new Option("--api-key <key>", "API key of the appliance (env: MIXPEEK_API_KEY)")

export const BASE_URL = () =>
  new Option("--base-url <url>", "address of the appliance (env: MIXPEEK_BASE_URL, default: http://127.0.0.1:8080)")

export const NAMESPACE = () => new Option("--namespace <id|name>", "namespace to work in (env: MIXPEEK_NAMESPACE)")

export const LOG_LEVEL = () =>
  new Option("--log-level <level>", "trace, debug, info, warn, error or silent (env: MIXPEEK_LOG_LEVEL, default: info)")

export const DATA = () => new Option("--data <dir>", "data directory (env: MIXPEEK_DATA, default: ~/.mixpeek)")

export const PYTHON = () => new Option("--python <path>", "Python interpreter, 3.10 to 3.13 (env: MIXPEEK_PYTHON)")

export const INDEX = () =>
  new Option(
    "--index <url>",
    "package index for what the wheel store lacks (env: MIXPEEK_INDEX_URL, default: none, and nothing is fetched)",
  )

/** Where a package index is what the command is for. */
export const INDEX_TO_COLLECT = () =>
  new Option("--index <url>", "package index (env: MIXPEEK_INDEX_URL, default: the one that pip is configured with)")

export const INDEX_CREDENTIALS = () =>
  new Option(
    "--index-credentials <file>",
    "netrc file with the user and password for the index (env: MIXPEEK_INDEX_CREDENTIALS)",
  )

export const MINIMUM_ISOLATION = () =>
  new Option(
    "--minimum-isolation <level>",
    "full, standard, reduced or none: below it plugin code does not run (env: MIXPEEK_MINIMUM_ISOLATION, default: standard)",
  )

export const JSON_OUTPUT = () => new Option("--json", "print one JSON document instead of text")

export const PLUGIN_PATH = () => new Option("--path <dir>", "the plugin's directory").default(".")
