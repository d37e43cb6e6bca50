//! Values of the protocol, made of bytes: equal bytes make equal values.

use redis::Value;

/// The deepest that values are nested.
const MAX_DEPTH: usize = 5;

/// Bytes that are still to be used. After their end there are zeros.
pub(super) struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(super) fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// At most as many bytes as the next one says.
    pub(super) fn slice(&mut self) -> &'b [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (slice, rest) = self.0.split_at(len);
        self.0 = rest;
        slice
    }

    pub(super) fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.slice()).into_owned()
    }

    pub(super) fn values(&mut self) -> Vec<Value> {
        self.list(0)
    }

    pub(super) fn value(&mut self) -> Value {
        self.nested(0)
    }

    fn list(&mut self, depth: usize) -> Vec<Value> {
        let len = self.byte() % 12;
        let mut values = Vec::new();
        for _ in 0..len {
            if self.0.is_empty() {
                break;
            }
            values.push(self.nested(depth));
        }
        values
    }

    fn nested(&mut self, depth: usize) -> Value {
        let kind = self.byte() % 16;
        match kind {
            4..=7 if depth >= MAX_DEPTH => Value::Nil,
            0 => Value::Nil,
            1 => Value::Int(i64::from(self.byte()) - 1),
            2 => Value::Int(self.number() as i64),
            3 => Value::BulkString(self.slice().to_vec()),
            4 | 5 => Value::Array(self.list(depth + 1)),
            6 => {
                Value::Map(self.list(depth + 1).into_iter().map(|key| (key, Value::Nil)).collect())
            }
            7 => Value::Set(self.list(depth + 1)),
            8 => Value::SimpleString(self.text()),
            9 => Value::Double(f64::from_bits(self.number())),
            10 => Value::BulkString(self.number().to_string().into_bytes()),
            11 => Value::BulkString(self.ids()),
            12 => Value::BulkString(self.stamp()),
            13 => Value::BulkString([&[0x10 | self.byte() & 0x0F], self.slice()].concat()),
            14 => error(&self.text()),
            _ => Value::VerbatimString { format: redis::VerbatimFormat::Text, text: self.text() },
        }
    }

    /// An `i` key that belongs below every other one.
    pub(super) fn ids(&mut self) -> Vec<u8> {
        let mut ids = [&[1; 12][..], &[0; 6]].concat();
        let intervals = self.byte() % 6;
        if intervals > 0 {
            ids.extend([self.byte(); 8]);
            (0..intervals).for_each(|_| ids.extend([[0; 6], [self.byte(); 6]].concat()));
            ids.extend((0..2 * intervals).map(|_| self.byte()));
        }
        ids
    }

    /// A stamp of the trees of such keys.
    pub(super) fn stamp(&mut self) -> Vec<u8> {
        let depth = usize::from(self.byte() % 4);
        [&vec![1; 8 * depth][..], &[self.byte()], self.slice()].concat()
    }
}

/// An error of the server with this text.
fn error(text: &str) -> Value {
    let line = text.replace(['\r', '\n'], " ");
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap_or(Value::Nil)
}
