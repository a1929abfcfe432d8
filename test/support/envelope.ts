import { expect } from "bun:test"
import type { Answer } from "./appliance.ts"

/** Every failure looks the same (api.md §0.2). */
export function expectEnvelope(answer: Answer, status: number, type: string) {
  expect({ status: answer.status, body: answer.body }).toMatchObject({
    status,
    body: { success: false, status, error: { type, message: expect.any(String) } },
  })
}
