/** Plugins that cut texts: at spaces, at hyphens, not at all. Words with `slow` take a while, some fail, some of these in 1.0.0 only, where some never end. */
import type { TestAppliance } from "../../support/appliance.ts"
import { published } from "../../support/plugins.ts"
import { VERSIONS, type Version } from "./entries.ts"

const cutBy = (separator: string) => (text: string) => text.split(separator).filter((word) => word !== "")
export const KINDS = {
  words: { cut: cutBy(" "), separator: "' '", bad: "ubad", hangs: "uhang" },
  pieces: { cut: cutBy("-"), separator: "'-'", bad: "dbad", hangs: "dhang" },
  whole: { cut: (text: string) => [text], separator: "None", bad: "ebad", hangs: "ehang" },
}
export type Kind = keyof typeof KINDS

const call = (name: Kind, version: Version, code: string) => `rows = []
for row in batch.to_dict("records"):
    text = row["text"] or ""
    if "slow" in text:
        time.sleep(0.2)
    parts = [text] if ${KINDS[name].separator} is None else [p for p in text.split(${KINDS[name].separator}) if p]
    for place, part in enumerate(parts):
        if part == "${KINDS[name].bad}" or (part == "${KINDS[name].bad}1" and "${version}" == "1.0.0"):
            raise ValueError(part)
        if part == "${KINDS[name].hangs}" and "${version}" == "1.0.0":
            time.sleep(600)
        rows.append({**row, "${name}_said": part, "${name}_place": place, "${name}_by": "${version}", "${name}_code": "${code}"})
out = pd.DataFrame(rows, columns=[*batch.columns, "${name}_said", "${name}_place", "${name}_by", "${name}_code"])
out["${name}_embedding"] = [[1.0] * 4] * len(out)
return out`

export function publishKind(appliance: TestAppliance, name: Kind, version: Version, code = "x"): Promise<string> {
  return published(appliance, { name, version, call: call(name, version, code) })
}

export async function publishKinds(appliance: TestAppliance): Promise<void> {
  for (const name of Object.keys(KINDS) as Kind[])
    for (const version of VERSIONS) await publishKind(appliance, name, version)
}
