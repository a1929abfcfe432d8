/**
 * API keys of an appliance on this machine, changed in its database: for whoever may read the data directory, with the
 * server up or down. A running server sees the change at once.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Command, Option } from "commander"
import { ConfigError, dataDirectory } from "../config.ts"
import { CreateApiKey } from "../contract/api-keys.ts"
import { openMetadata } from "../metadata/open.ts"
import { apiKeys } from "../organizations/api-keys.ts"
import { ADMIN_EMAIL, FIRST_ORGANIZATION } from "../organizations/first-start.ts"
import { organizations } from "../organizations/organizations.ts"
import { CommandFailed } from "./command-failed.ts"
import { DATA, JSON_OUTPUT, LOG_LEVEL } from "./options.ts"
import { CHECK, colors, print, printJson, printTable } from "./output.ts"

interface KeysOptions {
  readonly data?: string
  readonly organization?: string
  readonly user?: string
  readonly json?: boolean
}

interface CreateOptions extends KeysOptions {
  readonly name: string
  readonly user: string
  readonly organization: string
  readonly permissions: string
  readonly description?: string
  readonly expires?: string
}

interface ListOptions extends KeysOptions {
  readonly all?: boolean
}

export function keysCommand(): Command {
  const keys = new Command("keys").description("create, list and revoke API keys, directly in the data directory")
  for (const command of [createCommand(), listCommand(), revokeCommand()]) {
    keys.addCommand(command.addOption(DATA()).addOption(JSON_OUTPUT()).addOption(LOG_LEVEL()))
  }
  return keys
}

const USER = () => new Option("--user <email>", "user that the key belongs to")

function createCommand(): Command {
  return new Command("create")
    .description("make an API key and show it, this once")
    .requiredOption("--name <name>", "name of the key, unique per user")
    .addOption(USER().default(ADMIN_EMAIL))
    .option("--permissions <list>", "of read, write, delete, admin, with commas", "read,write")
    .option(
      "--organization <name>",
      "made when there is none of this name, with a namespace 'default'",
      FIRST_ORGANIZATION,
    )
    .option("--description <text>", "what the key is for")
    .option("--expires <time>", "ISO 8601, such as 2030-01-31T00:00:00Z (default: never)")
    .action(createKey)
}

function listCommand(): Command {
  return new Command("list")
    .description("list API keys, without the keys themselves")
    .option("--organization <name>", "of this organization only")
    .addOption(USER())
    .option("--all", "revoked keys too")
    .action(listKeys)
}

function revokeCommand(): Command {
  return new Command("revoke")
    .description("make an API key useless, from now on")
    .argument("<name>", "name of the key")
    .option("--organization <name>", "organization of the key", FIRST_ORGANIZATION)
    .addOption(USER())
    .action(revokeKey)
}

function createKey(options: CreateOptions): void {
  const request = CreateApiKey.safeParse({
    name: options.name,
    description: options.description,
    permissions: options.permissions.split(",").map((permission) => permission.trim()),
    expires_at: options.expires,
  })
  if (!request.success) {
    const [issue] = request.error.issues
    throw new ConfigError(`${String(issue?.path[0]).replace("expires_at", "expires")}: ${issue?.message}`)
  }
  if (!/^[^\s@]+@[^\s@]+$/.test(options.user)) throw new ConfigError(`user '${options.user}' is no e-mail address`)
  using data = openData(options)
  const { row, created } = data.organizations.ensure(options.organization)
  const owner = { internalId: row.internal_id, orgId: row.org_id, userEmail: ADMIN_EMAIL }
  const key = data.keys.create(owner, options.user, request.data)
  if (options.json === true) {
    printJson({ success: true, ...key, organization_name: row.organization_name })
    return
  }
  print(key.key)
  if (created) print(colors.dim(`organization '${row.organization_name}' and its namespace 'default' were made`))
  print(colors.dim(`'${key.name}' of ${key.user_id} may ${key.permissions.join(", ")}. It is not shown again.`))
}

function listKeys(options: ListOptions): void {
  using data = openData(options)
  const found = data.organizationRows(options.organization)
  const listed = found.flatMap((row) =>
    data.keys
      .list(
        { internalId: row.internal_id, orgId: row.org_id, userEmail: ADMIN_EMAIL },
        options.user ?? null,
        options.all === true,
      )
      .map((key) => ({ ...key, organization_name: row.organization_name })),
  )
  if (options.json === true) {
    printJson({ success: true, keys: listed, total: listed.length })
    return
  }
  printTable(
    ["NAME", "USER", "ORGANIZATION", "KEY", "PERMISSIONS", "STATUS", "EXPIRES", "LAST USED"],
    listed.map((key) => [
      key.name,
      key.user_id,
      key.organization_name,
      `${key.key_prefix}…`,
      key.permissions.join(","),
      key.status,
      key.expires_at ?? "never",
      key.last_used_at ?? "never",
    ]),
  )
}

function revokeKey(name: string, options: KeysOptions): void {
  using data = openData(options)
  const [row] = data.organizationRows(options.organization)
  if (row === undefined) return
  const owner = { internalId: row.internal_id, orgId: row.org_id, userEmail: ADMIN_EMAIL }
  const users = data.keys
    .list(owner, options.user ?? null, false)
    .filter((key) => key.name === name)
    .map((key) => key.user_id)
  const [user] = users
  if (user === undefined)
    throw new CommandFailed(`There is no active key '${name}' in organization '${row.organization_name}'.`)
  if (users.length > 1)
    throw new CommandFailed(`Several users have a key '${name}': name one with --user (${users.join(", ")}).`)
  data.keys.revoke(owner, user, name)
  if (options.json === true) printJson({ success: true, name, user_id: user, status: "revoked" })
  else print(`${CHECK.passed} '${name}' of ${user} is revoked.`)
}

/** @throws CommandFailed when no appliance was ever started on the directory */
function openData(options: KeysOptions) {
  const directory = dataDirectory(options.data)
  const file = join(directory, "metadata.sqlite")
  if (!existsSync(file)) {
    throw new CommandFailed(
      `${directory} holds no appliance's data yet: start 'mixpeek serve' once, or name another directory with --data.`,
    )
  }
  const now = () => new Date()
  const metadata = openMetadata(file, now)
  return {
    keys: apiKeys({ metadata, now }),
    organizations: organizations({ metadata, now }),
    /** All, or the one of this name. @throws CommandFailed when there is none of this name */
    organizationRows(name: string | undefined) {
      if (name === undefined) return metadata.read.organizations.all()
      const row = metadata.read.organizations.byName(name)
      if (row === undefined) throw new CommandFailed(`There is no organization '${name}'.`)
      return [row]
    },
    [Symbol.dispose]: () => metadata[Symbol.dispose](),
  }
}
