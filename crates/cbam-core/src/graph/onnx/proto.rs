//! What of ONNX's messages is read (`onnx.proto3` of onnx 1.23). What lies in another message stays bytes until it is counted.

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

/// More parts than any message has.
const MAX_PARTS: usize = 1 << 20;
/// More attributes, inputs and outputs than any operation has.
const MAX_PARTS_OF_NODE: usize = 1 << 16;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Model {
    #[prost(string, tag = "2")]
    pub(super) producer_name: String,
    #[prost(string, tag = "3")]
    pub(super) producer_version: String,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) graph: Bytes,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<OperatorSet>,
    #[prost(bytes = "bytes", repeated, tag = "25")]
    pub(super) functions: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Graph {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) node: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) initializer: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "11")]
    pub(super) input: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "12")]
    pub(super) output: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "15")]
    pub(super) sparse_initializer: Vec<Bytes>,
}

/// A function of the file's own: operations that stand for one.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Function {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, repeated, tag = "4")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub(super) output: Vec<String>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(super) node: Vec<Bytes>,
    #[prost(message, repeated, tag = "9")]
    pub(super) opset_import: Vec<OperatorSet>,
    #[prost(string, tag = "10")]
    pub(super) domain: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) attribute: Vec<Bytes>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
    #[prost(message, repeated, tag = "9")]
    pub(super) metadata_props: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, tag = "2")]
    pub(super) f: f32,
    #[prost(int64, tag = "3")]
    pub(super) i: i64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) s: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) t: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) g: Bytes,
    #[prost(float, repeated, tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub(super) kind: i32,
    #[prost(string, tag = "21")]
    pub(super) ref_attr_name: String,
}

/// Numbers stay as they lie in the file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) float_data: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) int32_data: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) int64_data: Bytes,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "9")]
    pub(super) raw_data: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    pub(super) double_data: Bytes,
    #[prost(message, repeated, tag = "13")]
    pub(super) external_data: Vec<Entry>,
    #[prost(int32, tag = "14")]
    pub(super) data_location: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Entry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) kind: Option<Type>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dim>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dim {
    #[prost(int64, optional, tag = "1")]
    pub(super) dim_value: Option<i64>,
    #[prost(string, tag = "2")]
    pub(super) dim_param: String,
}

/// A message of the model's or a graph's, after its parts were counted, so that few bytes cannot stand for much memory.
pub(super) fn message<M: prost::Message + Default>(bytes: &Bytes) -> Result<M, String> {
    counted(bytes, MAX_PARTS)
}

/// The same of an operation, or of what lies in it.
pub(super) fn small_message<M: prost::Message + Default>(bytes: &Bytes) -> Result<M, String> {
    counted(bytes, MAX_PARTS_OF_NODE)
}

fn counted<M: prost::Message + Default>(bytes: &Bytes, most: usize) -> Result<M, String> {
    let (mut rest, mut parts) = (bytes.clone(), 0);
    while rest.has_remaining() {
        let (tag, wire) = decode_key(&mut rest).map_err(broken)?;
        skip_field(wire, tag, &mut rest, DecodeContext::default()).map_err(broken)?;
        parts += 1;
        if parts > most {
            return Err(format!("a message of more than {most} parts"));
        }
    }
    M::decode(bytes.clone()).map_err(broken)
}

fn broken(error: prost::DecodeError) -> String {
    format!("broken ({error})")
}

/// Whether bytes begin as a model does, up to its graph; `None` where they end before that is told.
pub(super) fn begins_a_model(bytes: &mut impl Buf) -> Option<bool> {
    let mut seen_version = false;
    loop {
        let (tag, wire) = decode_key(bytes).ok()?;
        match (tag, wire) {
            // Its version comes first wherever a program wrote it.
            (1, WireType::Varint) => seen_version = true,
            (2..=4 | 6 | 8 | 14 | 20 | 25, WireType::LengthDelimited) | (5, WireType::Varint) => {}
            (7, WireType::LengthDelimited) => return Some(seen_version),
            _ => return Some(false),
        }
        skip_field(wire, tag, bytes, DecodeContext::default()).ok()?;
    }
}
