//! What values look like: JSON Schema of draft 2020-12, as OpenAPI 3.1 has it.

use serde_json::{Map, Value, json};

pub(crate) fn text() -> Value {
    json!({ "type": "string" })
}

/// A text that is not empty.
pub(crate) fn filled() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

/// A whole number that is not negative.
pub(crate) fn integer() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

pub(crate) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

/// A hash in hexadecimal digits.
pub(crate) fn hash() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex() -> Value {
    json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" })
}

/// A key in base32.
pub(crate) fn node_id() -> Value {
    json!({ "type": "string", "pattern": "^[a-z2-7]{52}$" })
}

/// One of some words.
pub(crate) fn choice(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// A parameter that counts whatever its value is.
pub(crate) fn flag() -> Value {
    text()
}

pub(crate) fn always(value: bool) -> Value {
    json!({ "const": value })
}

pub(crate) fn list(of: impl Into<Value>) -> Value {
    json!({ "type": "array", "items": of.into() })
}

/// This or null.
pub(crate) fn or_null(shape: impl Into<Value>) -> Value {
    json!({ "anyOf": [shape.into(), { "type": "null" }] })
}

pub(crate) fn one_of(shapes: &[Value]) -> Value {
    json!({ "oneOf": shapes })
}

/// One or more of some shapes in the document's list.
pub(crate) fn any_of(names: &[&str]) -> Value {
    json!({ "anyOf": names.iter().map(|name| named(name)).collect::<Vec<_>>() })
}

/// A shape in the document's list of shapes.
pub(crate) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A field and its shape.
pub(crate) type Field = (&'static str, Value);

/// All of these fields and no others.
pub(crate) fn object(fields: impl IntoIterator<Item = Field>) -> Value {
    object_or(fields, [])
}

/// All of the first fields, some of the others, and no more.
pub(crate) fn object_or(
    fields: impl IntoIterator<Item = Field>,
    optional: impl IntoIterator<Item = Field>,
) -> Value {
    let fields: Vec<Field> = fields.into_iter().collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        fields.iter().cloned().chain(optional).map(|(name, shape)| (name.to_owned(), shape)).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A page of a list.
pub(crate) fn page(rows: &'static str, of: &str) -> Value {
    object([(rows, list(named(of))), ("next", or_null(text()))])
}
