export type Parameter =
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "texts"; readonly value: readonly string[] }
  | { readonly kind: "numbers"; readonly value: readonly number[] }
  /** Per part one byte a row, 1 where the row is marked. */
  | { readonly kind: "marks"; readonly value: readonly Uint8Array[] }

/** The values of one statement. Each method answers the placeholder, so that a value can only reach SQL bound. */
export class Parameters {
  readonly #all: Parameter[] = []

  get all(): readonly Parameter[] {
    return this.#all
  }

  text(value: string): string {
    return `${this.#add({ kind: "text", value })}::VARCHAR`
  }
  number(value: number): string {
    return `${this.#add({ kind: "number", value })}::DOUBLE`
  }
  texts(value: readonly string[]): string {
    return `${this.#add({ kind: "texts", value })}::VARCHAR[]`
  }
  /** A whole number past 53 bits, as its digits. */
  whole(value: bigint): string {
    return `${this.text(String(value))}::HUGEINT`
  }
  numbers(value: readonly number[]): string {
    return `${this.#add({ kind: "numbers", value })}::DOUBLE[]`
  }
  marks(value: readonly Uint8Array[]): string {
    return `${this.#add({ kind: "marks", value })}::BIT[]`
  }

  #add(parameter: Parameter): string {
    this.#all.push(parameter)
    return `$${this.#all.length}`
  }
}
