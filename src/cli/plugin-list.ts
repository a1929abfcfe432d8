import { z } from "zod"
import { type ApiClient, apiClient, type ClientOptions } from "./api-client.ts"
import { colors, print, printJson, printTable } from "./output.ts"

interface ListOptions extends ClientOptions {
  readonly source: "all" | "builtin" | "custom" | "community"
  readonly json?: boolean
}

interface ListedExtractor {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly source: string
  readonly validation: string | null
  readonly deployed: boolean | null
  readonly feature_uri: string | null
}

const Plugins = z.object({
  plugins: z.array(
    z.object({
      plugin_id: z.string(),
      name: z.string(),
      version: z.string(),
      deployed: z.boolean(),
      validation_status: z.string(),
      feature_uri: z.string(),
    }),
  ),
})

const Extractors = z.object({
  extractors: z.array(
    z.object({
      feature_extractor_id: z.string(),
      feature_extractor_name: z.string(),
      version: z.string(),
      source: z.string(),
      validation_status: z.string().nullish(),
      deployed: z.boolean().nullish(),
      feature_uri: z.string().nullish(),
    }),
  ),
})

export async function pluginList(options: ListOptions): Promise<void> {
  const client = apiClient(options)
  const listed = options.source === "custom" ? await customPlugins(client) : await extractors(client, options.source)
  if (options.json === true) {
    printJson({ success: true, namespace: client.namespace, extractors: listed, total: listed.length })
  } else if (listed.length === 0) {
    print(colors.dim(`No ${options.source === "all" ? "" : `${options.source} `}extractors in ${client.namespace}.`))
  } else {
    printTable(
      ["ID", "NAME", "VERSION", "SOURCE", "VALIDATION", "DEPLOYED", "FEATURE URI"],
      listed.map(({ id, name, version, source, validation, deployed, feature_uri }) => [
        id,
        name,
        version,
        source,
        validation ?? "",
        deployed === null ? "" : deployed ? "yes" : "no",
        feature_uri ?? "",
      ]),
    )
  }
}

async function customPlugins(client: ApiClient): Promise<ListedExtractor[]> {
  const { plugins } = await client.call(Plugins, "GET", "/plugins")
  return plugins.map((plugin) => ({
    id: plugin.plugin_id,
    name: plugin.name,
    version: plugin.version,
    source: "custom",
    validation: plugin.validation_status,
    deployed: plugin.deployed,
    feature_uri: plugin.feature_uri,
  }))
}

/** The server knows no `community` (cli.md §5): what it lists is filtered here. */
async function extractors(client: ApiClient, source: "all" | "builtin" | "community"): Promise<ListedExtractor[]> {
  const asked = source === "builtin" ? "builtin" : "all"
  const { extractors } = await client.call(Extractors, "GET", `/extractors?source=${asked}`)
  return extractors
    .filter((extractor) => source === "all" || extractor.source === source)
    .map((extractor) => ({
      id: extractor.feature_extractor_id,
      name: extractor.feature_extractor_name,
      version: extractor.version,
      source: extractor.source,
      validation: extractor.validation_status ?? null,
      deployed: extractor.deployed ?? null,
      feature_uri: extractor.feature_uri ?? null,
    }))
}
