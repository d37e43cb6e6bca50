//! The formats of the Lua library `struct` that scripts use: big-endian numbers without a sign, bytes, and padding.

use mlua::{Error, Lua, MultiValue, Result, Value, Variadic};

/// A part of a format.
enum Part {
    Number(usize),
    Bytes(usize),
    Padding,
}

fn parts(format: &str) -> Result<Vec<Part>> {
    let bad = || Error::runtime(format!("the format {format:?} is not modelled"));
    let mut rest = format.strip_prefix('>').ok_or_else(bad)?;
    let mut parts = Vec::new();
    while let Some(kind) = rest.chars().next() {
        rest = &rest[1..];
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let size = rest[..digits].parse::<usize>().ok();
        rest = &rest[digits..];
        parts.push(match (kind, size) {
            ('I', Some(size @ 1..=8)) => Part::Number(size),
            ('c', Some(size @ 1..)) => Part::Bytes(size),
            ('x', None) => Part::Padding,
            _ => return Err(bad()),
        });
    }
    Ok(parts)
}

/// `struct.pack`.
pub(crate) fn pack(lua: &Lua, (format, values): (String, Variadic<Value>)) -> Result<Value> {
    let (mut packed, mut values) = (Vec::new(), values.into_iter());
    for part in parts(&format)? {
        let Part::Number(size) = part else {
            return Err(Error::runtime(format!("packing {format:?} is not modelled")));
        };
        let value = values.next().and_then(|value| lua.coerce_number(value).transpose());
        let number = value.ok_or_else(|| Error::runtime("a number is expected"))??;
        packed.extend_from_slice(&(number as u64).to_be_bytes()[8 - size..]);
    }
    Ok(Value::String(lua.create_string(packed)?))
}

/// `struct.unpack`: the values, and the place after them.
pub(crate) fn unpack(
    lua: &Lua,
    (format, packed, from): (String, mlua::LuaString, Option<usize>),
) -> Result<MultiValue> {
    let (packed, mut at) = (packed.as_bytes(), from.unwrap_or(1) - 1);
    let mut values = MultiValue::new();
    for part in parts(&format)? {
        let size = match part {
            Part::Number(size) | Part::Bytes(size) => size,
            Part::Padding => 1,
        };
        let short = || Error::runtime("data string too short");
        let bytes = packed.get(at..at + size).ok_or_else(short)?;
        at += size;
        match part {
            Part::Number(_) => {
                let number =
                    bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                values.push_back(Value::Number(number as f64));
            }
            Part::Bytes(_) => values.push_back(Value::String(lua.create_string(bytes)?)),
            Part::Padding => {}
        }
    }
    values.push_back(Value::Number((at + 1) as f64));
    Ok(values)
}
