import { expect, test } from "bun:test"
import { rowsPerPartition } from "../../src/batches/partition-size.ts"

const MEBIBYTE = 1024 ** 2

test.each([
  ["a few rows are one partition", 300, 200, 500],
  ["many small rows keep all workers busy", 40_000, 200, 5_000],
  ["very many small rows are as many as the setting allows", 2_000_000, 200, 50_000],
  ["texts of 16 KB are cut by their bytes", 2_000_000, 16 * 1024, 4_096],
  ["photographs of 2 MiB are cut by their bytes", 5_000, 2 * MEBIBYTE, 32],
  ["a file larger than a partition should be stands alone", 5_000, 900 * MEBIBYTE, 1],
  ["without a size the number decides", 40_000, 0, 5_000],
])("%s", (_, rows, bytesPerRow, expected) => {
  expect(rowsPerPartition({ partitionRows: 50_000, workers: 2 }, rows, bytesPerRow)).toBe(expected)
})
