//! An operation of the file: its inputs, as far as they are known, and its attributes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::known::Known;
use super::proto;

/// An operation to be translated.
pub(super) struct Call {
    pub(super) operator: String,
    /// The version of the operator set that the file asks for.
    pub(super) version: i64,
    pub(super) inputs: Vec<Known>,
    /// How many results are taken.
    pub(super) outputs: usize,
    attributes: BTreeMap<String, proto::Attribute>,
    asked: RefCell<BTreeSet<String>>,
}

/// The kinds of attributes (`AttributeProto.AttributeType`).
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const TENSOR: i32 = 4;
const FLOATS: i32 = 6;
const INTS: i32 = 7;

impl Call {
    pub(super) fn new(
        operator: &str,
        version: i64,
        inputs: Vec<Known>,
        outputs: usize,
        attributes: BTreeMap<String, proto::Attribute>,
    ) -> Self {
        let operator = operator.to_owned();
        Self { operator, version, inputs, outputs, attributes, asked: RefCell::default() }
    }

    /// An attribute, which is known from here on.
    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&proto::Attribute>, String> {
        self.asked.borrow_mut().insert(name.to_owned());
        let Some(attribute) = self.attributes.get(name) else { return Ok(None) };
        // Files of before 2017 do not say the kind.
        if attribute.kind != kind && attribute.kind != 0 {
            return Err(format!("its attribute {name} is of another kind than it should be"));
        }
        Ok(Some(attribute))
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.attribute(name, INT)?.map(|attribute| attribute.i))
    }

    pub(super) fn int_or(&self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        Ok(self.int(name)?.map_or(default, |number| number != 0))
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f64>, String> {
        Ok(self.attribute(name, FLOAT)?.map(|attribute| attribute.f.into()))
    }

    pub(super) fn float_or(&self, name: &str, default: f64) -> Result<f64, String> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, String> {
        Ok(self.attribute(name, INTS)?.map(|attribute| attribute.ints.clone()))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f64>>, String> {
        let floats = |attribute: &proto::Attribute| attribute.floats.iter().copied().map(f64::from).collect();
        Ok(self.attribute(name, FLOATS)?.map(floats))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, String> {
        let text = |attribute: &proto::Attribute| String::from_utf8_lossy(&attribute.s).into_owned();
        Ok(self.attribute(name, STRING)?.map(text))
    }

    pub(super) fn text_or(&self, name: &str, default: &str) -> Result<String, String> {
        Ok(self.text(name)?.unwrap_or_else(|| default.to_owned()))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<proto::Tensor>, String> {
        self.attribute(name, TENSOR)?.map(|attribute| proto::small_message(&attribute.t)).transpose()
    }

    /// An attribute that makes no difference here.
    pub(super) fn idle(&self, name: &str) {
        self.asked.borrow_mut().insert(name.to_owned());
    }

    /// Refuses any other value of an attribute than one.
    pub(super) fn only(&self, name: &str, value: i64) -> Result<(), String> {
        match self.int(name)? {
            Some(other) if other != value => Err(format!("with {name} {other}, which is not run")),
            _ => Ok(()),
        }
    }

    /// Refuses attributes that nobody asked for: what they change would be left out.
    pub(super) fn all_known(&self) -> Result<(), String> {
        let asked = self.asked.borrow();
        match self.attributes.keys().find(|name| !asked.contains(*name)) {
            Some(name) => Err(format!("has an attribute {name}, which is not known here")),
            None => Ok(()),
        }
    }

    /// An input; `None` where it is left out.
    pub(super) fn input(&self, place: usize) -> Option<&Known> {
        self.inputs.get(place).filter(|input| !matches!(input, Known::Nothing))
    }

    /// An input that must be there.
    pub(super) fn needed(&self, place: usize) -> Result<&Known, String> {
        self.input(place).ok_or_else(|| format!("its input {place} is missing"))
    }
}
