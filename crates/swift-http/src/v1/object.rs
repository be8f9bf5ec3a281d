//! Bodies are JSON objects.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// What a body says by names. A list of values alone says nothing: which is which would depend on an order that nobody
/// has promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        name: String,
        size: Option<u64>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum OneOf {
        Secret(String),
    }

    #[test]
    fn values_have_names() {
        let read = serde_json::from_str::<Object<Wanted>>;
        let wanted = Wanted { name: "a".into(), size: Some(1) };
        assert_eq!(read(r#"{"size": 1, "name": "a"}"#).unwrap(), Object(wanted));
        for refused in [r#"["a", 1]"#, "[]", r#""a""#, "1", "null"] {
            let error = read(refused).unwrap_err().to_string();
            assert!(error.contains("expected a JSON object"), "{refused}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_in_an_object_is_told_as_before() {
        let error = |text| serde_json::from_str::<Object<Wanted>>(text).unwrap_err().to_string();
        assert!(error("{}").starts_with("missing field `name`"));
        assert!(error(r#"{"name": "a", "names": 1}"#).starts_with("unknown field `names`"));
        assert!(error(r#"{"name": "a", "name": "b"}"#).starts_with("duplicate field `name`"));
        assert!(error(r#"{"name": "a"} {}"#).starts_with("trailing characters"));
    }

    #[test]
    fn one_of_several_is_named_too() {
        let read = serde_json::from_str::<Object<OneOf>>;
        assert_eq!(read(r#"{"secret": "s"}"#).unwrap(), Object(OneOf::Secret("s".into())));
        assert!(read(r#""secret""#).is_err() && read(r#"{"secret": "s", "token": "t"}"#).is_err());
    }
}
