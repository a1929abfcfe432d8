import { killBuilds } from "../test/recovery/environment-kills.ts"

const kills = Number(process.argv[2] ?? 20)
await killBuilds(kills, console.log)
console.log(`${kills} kills, every start clean, every confirmation after it built`)
