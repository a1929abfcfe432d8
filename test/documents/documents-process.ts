import { runDocumentsProcess } from "../../src/documents/child.ts"

await runDocumentsProcess()
