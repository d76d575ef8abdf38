//! JSON objects of which some fields count, whatever they hold.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The names of the fields that count.
pub(super) trait Fields<const N: usize> {
    const NAMES: [&'static str; N];
}

/// The fields of a JSON object, in the order of their names. What is missing, of another kind or cannot be read (a number that
/// is too large, half a character) counts as nothing, and so does a record that is no object at all: one bad field does not
/// cost the record, nor one bad record the file. Of a field that is there twice, the last counts.
pub(super) struct Record<F, const N: usize> {
    pub(super) fields: [Field; N],
    names: PhantomData<F>,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Nothing,
    /// A whole number, or whether something is so.
    Whole(i64),
    Real(f64),
    Text(Box<str>),
    /// An array of four numbers.
    Four(Box<[f64; 4]>),
}

impl Field {
    /// An id or a name: a text that is not empty, or a whole number.
    pub(super) fn id(&self) -> Option<String> {
        match self {
            Self::Whole(number) => Some(number.to_string()),
            Self::Real(number) if number.fract() == 0.0 => Some(format!("{number:.0}")),
            Self::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            _ => None,
        }
    }

    /// A number, or a text that is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn four(&self) -> Option<[f64; 4]> {
        if let Self::Four(four) = self { Some(**four) } else { None }
    }
}

impl<F: Fields<N>, const N: usize> Record<F, N> {
    /// The record that a JSON value holds.
    pub(super) fn read(value: &RawValue) -> Self {
        let nothing = |_| Self { fields: [const { Field::Nothing }; N], names: PhantomData };
        serde_json::from_str(value.get()).unwrap_or_else(nothing)
    }
}

impl<'de, F: Fields<N>, const N: usize> Deserialize<'de> for Record<F, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = deserializer.deserialize_any(Any(Object::<F, N>(PhantomData)))?;
        Ok(Self { fields, names: PhantomData })
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(Value))
    }
}

/// What is made of each kind of JSON value; the default is nothing.
trait Take<'de>: Sized {
    type Made;

    fn nothing(self) -> Self::Made;

    fn field(self, _: Field) -> Self::Made {
        self.nothing()
    }

    fn array<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Made, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.nothing())
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Made, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self.nothing())
    }
}

/// A visitor that takes any JSON value.
struct Any<T>(T);

impl<'de, T: Take<'de>> Visitor<'de> for Any<T> {
    type Value = T::Made;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<T::Made, E> {
        Ok(self.0.nothing())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T::Made, E> {
        Ok(self.0.field(Field::Whole(value.into())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T::Made, E> {
        Ok(self.0.field(Field::Whole(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T::Made, E> {
        Ok(self.0.field(i64::try_from(value).map_or(Field::Real(value as f64), Field::Whole)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T::Made, E> {
        Ok(self.0.field(Field::Real(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T::Made, E> {
        Ok(self.0.field(Field::Text(value.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<T::Made, A::Error> {
        self.0.array(array)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T::Made, A::Error> {
        self.0.object(object)
    }
}

struct Object<F, const N: usize>(PhantomData<F>);

impl<'de, F: Fields<N>, const N: usize> Take<'de> for Object<F, N> {
    type Made = [Field; N];

    fn nothing(self) -> [Field; N] {
        [const { Field::Nothing }; N]
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<[Field; N], A::Error> {
        let mut fields = self.nothing();
        while let Some(Name(name)) = object.next_key()? {
            match F::NAMES.iter().position(|known| *known == name) {
                Some(place) => {
                    let value: &RawValue = object.next_value()?;
                    fields[place] = serde_json::from_str(value.get()).unwrap_or(Field::Nothing);
                }
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// A key, borrowed where it can be.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

struct Value;

impl<'de> Take<'de> for Value {
    type Made = Field;

    fn nothing(self) -> Field {
        Field::Nothing
    }

    fn field(self, field: Field) -> Field {
        field
    }

    fn array<A: SeqAccess<'de>>(self, mut array: A) -> Result<Field, A::Error> {
        let mut four = [0.0; 4];
        let (mut count, mut numbers) = (0, true);
        while let Some(field) = array.next_element::<Field>()? {
            let number = match field {
                Field::Whole(number) => Some(number as f64),
                Field::Real(number) => Some(number),
                _ => None,
            };
            numbers &= number.is_some();
            if let (Some(place), Some(number)) = (four.get_mut(count), number) {
                *place = number;
            }
            count += 1;
        }
        Ok(if numbers && count == 4 { Field::Four(Box::new(four)) } else { Field::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Names;

    impl Fields<3> for Names {
        const NAMES: [&'static str; 3] = ["a", "b", "c"];
    }

    #[test]
    fn whatever_a_field_holds_the_others_are_read() {
        let text = r#"[{"a": 1, "x": {"a": [[1]]}, "b": [1, 2.5, -3, 4], "c": "t"}, null, [1], "a",
            {"a": {"b": 1}, "b": [1, 2, 3], "c": [1, 2, 3, null]}, {"a": 18446744073709551615, "b": true, "a": 2.0, "\u0063": 1.5},
            {"a": 1e999, "b": [1, 2, 3, 1e999], "c": "caf\udce9"}, {"x": 1e999, "b": 1, "c": "\udce9", "y": "\udce9"}]"#;
        let records: Vec<Record<Names, 3>> = serde_json::from_str(text).unwrap();
        let nothing = || Field::Nothing;
        let four = Field::Four(Box::new([1.0, 2.5, -3.0, 4.0]));
        let fields: Vec<_> = records.into_iter().map(|record| record.fields).collect();
        assert_eq!(fields[0], [Field::Whole(1), four, Field::Text("t".into())]);
        for empty in &fields[1..5] {
            assert_eq!(*empty, [nothing(), nothing(), nothing()]);
        }
        assert_eq!(fields[5], [Field::Real(2.0), Field::Whole(1), Field::Real(1.5)]);
        assert_eq!((fields[5][0].id(), fields[5][2].id()), (Some("2".to_owned()), None));
        assert_eq!(fields[6], [nothing(), nothing(), nothing()]);
        assert_eq!(fields[7], [nothing(), Field::Whole(1), nothing()]);
    }
}
