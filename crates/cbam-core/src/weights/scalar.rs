//! The opcodes that make a single value: numbers, text, bytes.

use super::opcode as op;
use super::pickle::Object;
use super::reader::Reader;

/// What an opcode that makes a single value makes.
pub(super) fn scalar<'a>(code: u8, reader: &mut Reader<'a>) -> Result<Object<'a>, String> {
    Ok(match code {
        op::NONE => Object::None,
        op::NEWTRUE => Object::Bool(true),
        op::NEWFALSE => Object::Bool(false),
        op::BININT => Object::Int(i32::from_le_bytes(reader.array()?).into()),
        op::BININT1 => Object::Int(reader.byte()?.into()),
        op::BININT2 => Object::Int(u16::from_le_bytes(reader.array()?).into()),
        op::LONG1 => {
            let count = reader.byte()?;
            integer(reader, count.into())?
        }
        op::LONG4 => {
            let count = reader.u32()?;
            integer(reader, count as usize)?
        }
        op::BINFLOAT => Object::Float(f64::from_be_bytes(reader.array()?)),
        op::SHORT_BINUNICODE => {
            let count = reader.byte()?;
            Object::Text(reader.text(count.into())?)
        }
        op::BINUNICODE => {
            let count = reader.u32()?;
            Object::Text(reader.text(count as usize)?)
        }
        op::BINUNICODE8 => {
            let count = reader.count()?;
            Object::Text(reader.text(count)?)
        }
        // Python 2's strings: text or bytes, as it comes.
        op::SHORT_BINSTRING => {
            let count = reader.byte()?;
            string(reader.take(count.into())?)
        }
        op::BINSTRING => {
            let count = reader.u32()?;
            string(reader.take(count as usize)?)
        }
        op::SHORT_BINBYTES => {
            let count = reader.byte()?;
            bytes(reader.take(count.into())?)
        }
        op::BINBYTES => {
            let count = reader.u32()?;
            bytes(reader.take(count as usize)?)
        }
        op::BINBYTES8 | op::BYTEARRAY8 => {
            let count = reader.count()?;
            bytes(reader.take(count)?)
        }
        _ => {
            return Err(op::refused_name(code).map_or_else(
                || format!("no pickle has an opcode {code:#04x}"),
                |name| format!("refused: the opcode {name}, which a file of tensors has no use for"),
            ));
        }
    })
}

/// An integer of `count` bytes; random generators have some that are wider than any size of a tensor.
fn integer<'a>(reader: &mut Reader<'a>, count: usize) -> Result<Object<'a>, String> {
    if count > 16 {
        reader.take(count)?;
        return Ok(Object::Inert("a long integer"));
    }
    Ok(Object::Int(reader.long(count)?))
}

fn string(bytes: &[u8]) -> Object<'_> {
    std::str::from_utf8(bytes).map_or(Object::Bytes, Object::Text)
}

fn bytes(_: &[u8]) -> Object<'static> {
    Object::Bytes
}
