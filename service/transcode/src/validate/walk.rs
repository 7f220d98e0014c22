//! The walk over the wire bytes of one message that finds every rule it breaks. Nothing is decoded into a tree.
//!
//! A field that may stand once is checked where it stands. That it stands a second time is legal, the later value then
//! wins or the two are merged; no encoder writes that, so the walk gives up there, and the bytes are made
//! [canonical](super::canonical) before it begins anew.

use super::path::{Key, Step};
use super::rules::{self, Exclusive, Field, Item, List, Map, Message, Report, Rules, Shape};
use super::{Engine, VIOLATION_LIMIT};
use crate::json::plan::Kind;
use crate::json::wire::{self, Malformed, Reader, Value, WireType};
use crate::json::{MessageId, Plans};

/// Deeper than any message that a decoder takes.
const MAX_DEPTH: usize = 128;

/// Why a walk ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes are not a message of this type.
    Malformed,
    /// A field that may stand once stands twice.
    Twice,
    /// Enough has been found.
    Full,
    /// The engine cannot say.
    Engine(String),
}

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A broken rule and the way to where it is.
#[derive(Debug)]
pub(super) struct Found<'w> {
    pub(super) steps: Vec<Step<'w>>,
    /// What follows the steps, where the engine has looked further.
    pub(super) rest: String,
    pub(super) rule: String,
    pub(super) problem: String,
}

pub(super) struct Walk<'p, 'w> {
    plans: &'p Plans,
    rules: &'p Rules,
    engine: Option<&'p dyn Engine>,
    /// The way from the outermost message to where the walk is.
    steps: Vec<Step<'w>>,
    /// For each message on the way: how often each field and each oneof has been met.
    counts: Vec<u32>,
    pub(super) found: Vec<Found<'w>>,
}

/// Puts what is broken under the steps that lead there.
struct Here<'a, 'w> {
    steps: &'a [Step<'w>],
    found: &'a mut Vec<Found<'w>>,
}

impl Report for Here<'_, '_> {
    #[cold]
    fn broken(&mut self, id: &str, problem: &str) {
        self.found.push(Found {
            steps: self.steps.to_vec(),
            rest: String::new(),
            rule: id.to_owned(),
            problem: problem.to_owned(),
        });
    }
}

impl<'p, 'w> Walk<'p, 'w> {
    pub(super) fn new(plans: &'p Plans, rules: &'p Rules, engine: Option<&'p dyn Engine>) -> Self {
        Self { plans, rules, engine, steps: Vec::new(), counts: Vec::new(), found: Vec::new() }
    }

    pub(super) fn message(&mut self, id: MessageId, wire: &'w [u8], depth: usize) -> Result<(), Stop> {
        let Some(rules) = self.rules.of(id) else {
            return Ok(());
        };
        if depth > MAX_DEPTH {
            return Err(Stop::Malformed);
        }
        if rules.engine {
            return self.delegate(id, wire);
        }
        let plan = self.plans.plan(id);
        let base = self.counts.len();
        let oneofs = base + rules.fields.len();
        self.counts.resize(oneofs + plan.oneofs.len(), 0);
        let mut reader = Reader::new(wire);
        while let Some(field) = reader.next()? {
            let Some(index) = plan.field_index(field.number) else {
                continue;
            };
            let known = &rules.fields[index];
            let kind = plan.fields[index].kind;
            match &known.shape {
                Shape::One(item) => {
                    if known.implicit && rules::is_zero(kind, field.value) {
                        // As if it were not there, unless it takes back what was.
                        if self.counts[base + index] > 0 {
                            return Err(Stop::Twice);
                        }
                        continue;
                    }
                    self.count_once(base + index)?;
                    if let Some(oneof) = known.oneof {
                        self.count_once(oneofs + usize::from(oneof))?;
                    }
                    if !item.is_free() {
                        self.steps.push(Step::Field(id.0, index as u16));
                        self.value(item, kind, field.value, depth)?;
                        self.steps.pop();
                    }
                }
                Shape::List(list) if list.is_free() => {
                    let empty = kind.wire_type() != WireType::Bytes && field.value == Value::Bytes(&[]);
                    self.counts[base + index] += u32::from(!empty);
                }
                Shape::List(list) => {
                    self.steps.push(Step::Field(id.0, index as u16));
                    self.items(list, kind, field.value, base + index, depth)?;
                    self.steps.pop();
                }
                Shape::Map(map) => {
                    self.counts[base + index] += 1;
                    if let (false, Value::Bytes(entry)) = (map.is_free(), field.value) {
                        self.steps.push(Step::Field(id.0, index as u16));
                        self.entry(map, entry, depth)?;
                        self.steps.pop();
                    }
                }
            }
            if self.found.len() >= VIOLATION_LIMIT {
                return Err(Stop::Full);
            }
        }
        self.whole(id, rules, wire, base)?;
        self.counts.truncate(base);
        Ok(())
    }

    #[inline]
    fn count_once(&mut self, slot: usize) -> Result<(), Stop> {
        if self.counts[slot] > 0 {
            return Err(Stop::Twice);
        }
        self.counts[slot] = 1;
        Ok(())
    }

    #[inline]
    fn value(&mut self, item: &'p Item, kind: Kind, value: Value<'w>, depth: usize) -> Result<(), Stop> {
        if item.ignore_zero && rules::is_zero(kind, value) {
            return Ok(());
        }
        if let Some(rule) = &item.rule {
            rule.check(kind, value, &mut Here { steps: &self.steps, found: &mut self.found });
        }
        match (item.child, value) {
            (Some(child), Value::Bytes(bytes)) => self.message(child, bytes, depth + 1),
            _ => Ok(()),
        }
    }

    /// One occurrence of a list: an item, or several packed into one.
    fn items(&mut self, list: &'p List, kind: Kind, value: Value<'w>, slot: usize, depth: usize) -> Result<(), Stop> {
        let mut values = Elements::of(kind, value);
        while let Some(value) = values.next()? {
            if !list.items.is_free() {
                self.steps.push(Step::Index(self.counts[slot]));
                self.value(&list.items, kind, value, depth)?;
                self.steps.pop();
                if self.found.len() >= VIOLATION_LIMIT {
                    return Err(Stop::Full);
                }
            }
            self.counts[slot] += 1;
        }
        Ok(())
    }

    fn entry(&mut self, map: &'p Map, entry: &'w [u8], depth: usize) -> Result<(), Stop> {
        let (key, value) = pair(map, entry)?;
        self.steps.push(Step::Key(as_key(map.key_kind, key)));
        self.value(&map.keys, map.key_kind, key, depth)?;
        self.value(&map.values, map.value_kind, value, depth)?;
        self.steps.pop();
        Ok(())
    }

    /// What can be said of a message once all of its fields have been met.
    fn whole(&mut self, id: MessageId, rules: &'p Message, wire: &'w [u8], base: usize) -> Result<(), Stop> {
        for &index in &rules.watched {
            let field = &rules.fields[usize::from(index)];
            let count = self.counts[base + usize::from(index)];
            // A value that is there has been checked where it stood.
            if matches!(field.shape, Shape::One(_)) && count > 0 {
                continue;
            }
            self.steps.push(Step::Field(id.0, index));
            self.counted(field, self.plans.plan(id).fields[usize::from(index)].kind, count);
            self.steps.pop();
            if count > 1 {
                let number = self.plans.plan(id).fields[usize::from(index)].number;
                self.together(id, index, number, field, wire)?;
            }
        }
        let oneofs = base + rules.fields.len();
        for &oneof in &rules.required_oneofs {
            if self.counts[oneofs + usize::from(oneof)] == 0 {
                self.steps.push(Step::Oneof(id.0, oneof));
                self.report("required", "needs one of its fields to be set");
                self.steps.pop();
            }
        }
        for Exclusive { fields, required, names } in &rules.exclusive {
            let set = fields.iter().filter(|field| self.counts[base + usize::from(**field)] > 0).count();
            if set > 1 {
                self.report("message.oneof", &format!("only one of {names} may be set"));
            } else if set == 0 && *required {
                self.report("message.oneof", &format!("one of {names} must be set"));
            }
        }
        Ok(())
    }

    fn report(&mut self, id: &str, problem: &str) {
        Here { steps: &self.steps, found: &mut self.found }.broken(id, problem);
    }

    /// The rules on how often a field stands, and those on the default value of one that is absent.
    fn counted(&mut self, field: &'p Field, kind: Kind, count: u32) {
        if count == 0 && field.required {
            return self.report("required", "is required");
        }
        if count == 0 && field.ignore_empty {
            return;
        }
        let count = u64::from(count);
        match &field.shape {
            Shape::One(item) => {
                if let Some(rule) = &item.rule {
                    rule.check(kind, rules::zero(kind), &mut Here { steps: &self.steps, found: &mut self.found });
                }
            }
            Shape::List(list) => {
                if count < list.least {
                    self.report("repeated.min_items", &at_least(list.least, "item"));
                }
                if count > list.most {
                    self.report("repeated.max_items", &at_most(list.most, "item"));
                }
            }
            Shape::Map(map) => {
                if count < map.least {
                    self.report("map.min_pairs", &at_least(map.least, "pair"));
                }
                if count > map.most {
                    self.report("map.max_pairs", &at_most(map.most, "pair"));
                }
            }
        }
    }

    /// The rules that compare what a list or map holds: no two items alike, and no key twice.
    fn together(
        &mut self,
        id: MessageId,
        index: u16,
        number: u32,
        field: &'p Field,
        wire: &'w [u8],
    ) -> Result<(), Stop> {
        let kind = self.plans.plan(id).fields[usize::from(index)].kind;
        let mut keys = Vec::new();
        let mut reader = Reader::new(wire);
        while let Some(occurrence) = reader.next()? {
            if occurrence.number != number {
                continue;
            }
            match &field.shape {
                Shape::List(list) if list.unique => {
                    let mut values = Elements::of(kind, occurrence.value);
                    while let Some(value) = values.next()? {
                        keys.extend(identity(kind, value));
                    }
                }
                Shape::Map(map) => {
                    if let Value::Bytes(entry) = occurrence.value {
                        keys.push(match as_key(map.key_kind, pair(map, entry)?.0) {
                            Key::Text(text) => Identity::Bytes(text.as_bytes()),
                            Key::Bool(key) => Identity::Bits(key.into()),
                            Key::Signed(key) => Identity::Bits(key as u64),
                            Key::Unsigned(key) => Identity::Bits(key),
                        });
                    }
                }
                _ => return Ok(()),
            }
        }
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            if matches!(field.shape, Shape::Map(_)) {
                return Err(Stop::Twice);
            }
            self.steps.push(Step::Field(id.0, index));
            self.report("repeated.unique", "must hold no two equal items");
            self.steps.pop();
        }
        Ok(())
    }

    /// Has the engine look at a message and everything below.
    fn delegate(&mut self, id: MessageId, wire: &'w [u8]) -> Result<(), Stop> {
        let Some(engine) = self.engine else {
            return Err(Stop::Engine("there is none".to_owned()));
        };
        for violation in engine.violations(self.plans.name(id), wire).map_err(Stop::Engine)? {
            self.found.push(Found {
                steps: self.steps.clone(),
                rest: violation.path,
                rule: violation.rule,
                problem: violation.description,
            });
        }
        Ok(())
    }
}

fn at_least(count: u64, what: &str) -> String {
    format!("must hold at least {count} {what}{}", if count == 1 { "" } else { "s" })
}

fn at_most(count: u64, what: &str) -> String {
    format!("must hold at most {count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What makes a value equal to another of the same type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'w> {
    Bits(u64),
    Bytes(&'w [u8]),
}

/// Nothing for NaN, which equals nothing.
fn identity(kind: Kind, value: Value<'_>) -> Option<Identity<'_>> {
    let real = match (kind, value) {
        (_, Value::Bytes(bytes)) => return Some(Identity::Bytes(bytes)),
        (Kind::Double, Value::Fixed64(bits)) => f64::from_bits(bits),
        (Kind::Float, Value::Fixed32(bits)) => f64::from(f32::from_bits(bits)),
        (Kind::Bool, value) => return Some(Identity::Bits(u64::from(rules::unsigned(kind, value) != 0))),
        (_, value) => return Some(Identity::Bits(rules::unsigned(kind, value))),
    };
    // The two zeros are equal.
    (!real.is_nan()).then_some(Identity::Bits((real + 0.0).to_bits()))
}

/// Key and value of a map's entry; what is absent is the default.
pub(super) fn pair<'w>(map: &Map, entry: &'w [u8]) -> Result<(Value<'w>, Value<'w>), Stop> {
    let (mut key, mut value) = (None, None);
    let mut reader = Reader::new(entry);
    while let Some(field) = reader.next()? {
        let slot = match field.number {
            1 => &mut key,
            2 => &mut value,
            _ => continue,
        };
        if slot.replace(field.value).is_some() {
            return Err(Stop::Twice);
        }
    }
    Ok((key.unwrap_or(rules::zero(map.key_kind)), value.unwrap_or(rules::zero(map.value_kind))))
}

fn as_key(kind: Kind, value: Value<'_>) -> Key<'_> {
    match (kind, value) {
        (_, Value::Bytes(bytes)) => Key::Text(std::str::from_utf8(bytes).unwrap_or_default()),
        (Kind::Bool, value) => Key::Bool(rules::unsigned(kind, value) != 0),
        (Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64, value) => {
            Key::Unsigned(rules::unsigned(kind, value))
        }
        (_, value) => Key::Signed(rules::signed(kind, value)),
    }
}

/// The items in one occurrence of a list.
enum Elements<'w> {
    One(Option<Value<'w>>),
    Packed(WireType, Reader<'w>),
}

impl<'w> Elements<'w> {
    fn of(kind: Kind, value: Value<'w>) -> Self {
        match (kind.wire_type(), value) {
            (WireType::Bytes, value) => Self::One(Some(value)),
            (scalar, Value::Bytes(bytes)) => Self::Packed(scalar, Reader::new(bytes)),
            (_, value) => Self::One(Some(value)),
        }
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Value<'w>>, Malformed> {
        match self {
            Self::One(value) => Ok(value.take()),
            Self::Packed(_, reader) if reader.is_empty() => Ok(None),
            Self::Packed(wire::WireType::Fixed32, reader) => reader.fixed32().map(Value::Fixed32).map(Some),
            Self::Packed(wire::WireType::Fixed64, reader) => reader.fixed64().map(Value::Fixed64).map(Some),
            Self::Packed(_, reader) => reader.varint().map(Value::Varint).map(Some),
        }
    }
}
