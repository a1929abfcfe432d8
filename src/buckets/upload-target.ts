import type { CreateBucketUpload } from "../contract/bucket-uploads.ts"
import type { BucketSchema, FieldType } from "../contract/buckets.ts"
import { invalid } from "../errors.ts"
import { fieldType, isFileType, typesAgree } from "./schema.ts"

/**
 * The property and type that an uploaded file will have as a blob: as asked; else the file name's stem, when the schema
 * has it; else the only property that takes such a file.
 * @throws ValidationError when the file is to become an object and no property fits
 */
export function uploadTarget(request: CreateBucketUpload, schema: BucketSchema): { property: string; type: FieldType } {
  const asked = request.blob_type == null ? null : fieldType(request.blob_type)
  if (request.blob_type != null && asked === null) {
    throw invalid(`'${request.blob_type}' is not a field type.`, [
      { type: "enum", location: ["body", "blob_type"], message: "is not a field type" },
    ])
  }
  const guessed = asked ?? typeOf(request.content_type)
  const stem = request.filename.replace(/\.[^.]*$/, "")
  const property =
    request.blob_property ?? (Object.hasOwn(schema.properties, stem) ? stem : onlyFit(schema, guessed)) ?? stem
  const declared = Object.hasOwn(schema.properties, property) ? schema.properties[property]?.type : undefined
  // A declared file type is what the caller said of such files; the content type only guesses.
  const type = asked ?? (declared !== undefined && (isFileType(declared) || declared === "object") ? declared : guessed)
  if (!request.create_object_on_confirm || (declared !== undefined && typesAgree(type, declared)))
    return { property, type }
  const known = Object.entries(schema.properties).map(([name, field]) => `${name} (${field.type})`)
  throw invalid(
    `The bucket's schema has no property '${property}' of type ${type}: it has ${known.join(", ") || "none"}.`,
    [
      {
        type: "unknown_property",
        location: ["body", "blob_property"],
        message: `must be a property of the schema of type ${type}`,
      },
    ],
  )
}

function onlyFit(schema: BucketSchema, type: FieldType): string | null {
  const fitting = Object.entries(schema.properties).filter(([, field]) => typesAgree(type, field.type))
  const [only] = fitting
  return fitting.length === 1 && only !== undefined ? only[0] : null
}

function typeOf(contentType: string): FieldType {
  const mime = contentType.split(";")[0]?.trim().toLowerCase() ?? ""
  for (const type of ["image", "audio", "video", "text"] as const) if (mime.startsWith(`${type}/`)) return type
  if (mime === "application/pdf") return "pdf"
  if (mime.includes("spreadsheet") || mime.includes("ms-excel")) return "excel"
  return "object"
}
