//! Protobuf's wire format: varints, tags, length-delimited nesting.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Knows nothing of descriptors or JSON.

/// How a value is laid out on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

impl WireType {
    pub(crate) const fn number(self) -> u64 {
        match self {
            WireType::Varint => 0,
            WireType::Fixed64 => 1,
            WireType::Bytes => 2,
            WireType::Fixed32 => 5,
        }
    }
}

/// The bytes are not a well-formed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a well-formed protobuf message")]
pub(crate) struct Malformed;

/// Appends `value` as a varint.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Zigzag coding of `sint32` and `sint64`.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag`].
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Appends a length-delimited value.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Opens a length-delimited value whose length is known only at its end; give the result to [`close`].
#[inline]
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of the value opened at `start`, moving it where the length takes more than the one byte kept.
#[inline]
pub(crate) fn close(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut prefix = [0u8; 10];
    let mut rest = length as u64;
    let mut used = 0;
    while rest >= 0x80 {
        prefix[used] = (rest as u8) | 0x80;
        rest >>= 7;
        used += 1;
    }
    prefix[used] = rest as u8;
    used += 1;
    let end = out.len();
    out.resize(end + used - 1, 0);
    out.copy_within(start..end, start + used - 1);
    out[start - 1..start - 1 + used].copy_from_slice(&prefix[..used]);
}

/// One field as it stands on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
}

/// A value as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// What stands in a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item<'a> {
    Field(Field<'a>),
    /// A group of this number, which was skipped.
    Group(u32),
}

/// Reads the fields of a message one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A reader of the same bytes that begins at `at`, which must be where a field begins.
    pub(crate) fn starting_at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where the next field begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let rest = self.bytes.get(self.at..).ok_or(Malformed)?;
        if let Some(&byte) = rest.first()
            && byte < 0x80
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        let mut value = 0u64;
        for (index, &byte) in rest.iter().take(10).enumerate() {
            if index == 9 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| Malformed)?))
    }

    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| Malformed)?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next field, or `None` at the end. Groups (deprecated wire types 3 and 4) are skipped.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        loop {
            match self.item()? {
                Some(Item::Field(field)) => return Ok(Some(field)),
                Some(Item::Group(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next field or group, or `None` at the end.
    #[inline]
    pub(crate) fn item(&mut self) -> Result<Option<Item<'a>>, Malformed> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = field_number(key)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            3 => {
                self.skip_group(number)?;
                return Ok(Some(Item::Group(number)));
            }
            5 => Value::Fixed32(self.fixed32()?),
            _ => return Err(Malformed),
        };
        Ok(Some(Item::Field(Field { number, value })))
    }

    /// Skips to the end of the group `number`, nested groups included, without recursion.
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            if open.len() > 100 {
                return Err(Malformed);
            }
            let key = self.varint()?;
            let number = field_number(key)?;
            match key & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                    self.take(length)?;
                }
                3 => open.push(number),
                4 if number == innermost => drop(open.pop()),
                5 => drop(self.take(4)?),
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }
}

/// The field number in a key.
#[inline]
fn field_number(key: u64) -> Result<u32, Malformed> {
    u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number)).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_value_of_any_length_gets_its_length() {
        for length in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
            let mut out = vec![0x0a];
            let start = open(&mut out);
            out.extend((0..length).map(|n| n as u8));
            close(&mut out, start);
            let field = Reader::new(&out).next().unwrap().unwrap();
            let Value::Bytes(bytes) = field.value else { panic!("not bytes") };
            assert_eq!(bytes.len(), length);
            assert!(bytes.iter().enumerate().all(|(n, &byte)| byte == n as u8));
        }
    }

    #[test]
    fn truncated_bytes_are_malformed_at_every_cut() {
        let mut out = Vec::new();
        put_varint(&mut out, 1 << 3 | 2);
        put_bytes(&mut out, b"hello");
        put_varint(&mut out, 2 << 3);
        put_varint(&mut out, u64::MAX);
        for cut in 1..out.len() {
            let mut reader = Reader::new(&out[..cut]);
            let mut last = Ok(None);
            for _ in 0..2 {
                last = reader.next().map(|field| field.map(|field| field.number));
                if !matches!(last, Ok(Some(_))) {
                    break;
                }
            }
            assert!(last.is_err() || cut == 7, "cut at {cut} gave {last:?}");
        }
    }

    #[test]
    fn zigzag_is_its_own_reverse() {
        for value in [0, -1, 1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
