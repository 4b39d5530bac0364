//! Where each key and value of a file stands.
//!
//! Types are read from the file without their places, since a type full of
//! places is one that nobody wants to use. When something turns out to be
//! wrong, the file is read a second time into this tree, by the same parser,
//! and asked where that was. The tree is made for errors only: a file that
//! cannot be read twice has no places, and its errors name the key alone.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::error::Stretch;

/// The places of one file.
#[derive(Debug)]
pub(crate) struct Places(Option<Node>);

#[derive(Debug)]
struct Node {
    at: Stretch,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Leaf,
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl Places {
    /// Of a text that the parser understands; otherwise there are none.
    pub(crate) fn of(text: &str) -> Self {
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            merge_keys: serde_saphyr::options::MergeKeyPolicy::AsOrdinary,
        };
        Self(serde_saphyr::from_str_with_options(text, options).ok())
    }

    /// Where the value of a key such as `a.b[0].c` stands, or, where it has
    /// none, the deepest key on the way there. What spans several lines is
    /// shown by its key.
    pub(crate) fn find(&self, path: &str) -> Option<Stretch> {
        let mut node = self.0.as_ref()?;
        let mut found = None;
        for part in parts(path) {
            let next = match (&node.kind, part) {
                (Kind::Map(entries), Part::Key(name)) => entries
                    .iter()
                    .find(|(key, _)| key.value == name)
                    .map(|(key, value)| (Some(stretch(&key.defined)), value)),
                (Kind::List(items), Part::Index(index)) => {
                    items.get(index).map(|item| (None, item))
                }
                _ => None,
            };
            let Some((key, value)) = next else { break };
            node = value;
            found = match (&node.kind, key) {
                (Kind::Leaf, _) | (_, None) => Some(node.at),
                (_, Some(key)) => Some(key),
            };
        }
        found
    }

    /// The key that stands at a place.
    pub(crate) fn key_at(&self, line: u64, column: u64) -> Option<String> {
        let wanted = |at: Stretch| (at.line, at.column) == (line, column);
        self.search(&|key, _| key.is_some_and(wanted))
    }

    /// The key of the value that begins at a place; empty for the whole.
    pub(crate) fn value_at(&self, line: u64, column: u64) -> Option<String> {
        self.search(&|_, node| (node.at.line, node.at.column) == (line, column))
    }

    /// The outermost part of the file that fits.
    fn search(&self, fits: &dyn Fn(Option<Stretch>, &Node) -> bool) -> Option<String> {
        let root = self.0.as_ref()?;
        if fits(None, root) {
            return Some(String::new());
        }
        root.search("", fits)
    }
}

impl Node {
    fn search(&self, path: &str, fits: &dyn Fn(Option<Stretch>, &Self) -> bool) -> Option<String> {
        match &self.kind {
            Kind::Leaf => None,
            Kind::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                let path = format!("{path}[{index}]");
                if fits(None, item) {
                    return Some(path);
                }
                item.search(&path, fits)
            }),
            Kind::Map(entries) => entries.iter().find_map(|(key, value)| {
                let path = within(path, &key.value);
                if fits(Some(stretch(&key.defined)), value) {
                    return Some(path);
                }
                value.search(&path, fits)
            }),
        }
    }
}

/// `name` under `path`.
pub(crate) fn within(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// What a location of the parser covers.
pub(crate) fn stretch(location: &Location) -> Stretch {
    Stretch {
        line: location.line(),
        column: location.column(),
        length: location.span().len(),
    }
}

enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

/// The parts of `a.b[0].c`.
fn parts(path: &str) -> impl Iterator<Item = Part<'_>> {
    path.split(['.', '['])
        .filter_map(|part| match part.strip_suffix(']').map(str::parse) {
            Some(Ok(index)) => Some(Part::Index(index)),
            _ if part.is_empty() => None,
            _ => Some(Part::Key(part)),
        })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self {
            at: stretch(&defined),
            kind: value,
        })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

/// Scalars differ in nothing that matters here.
macro_rules! leaves {
    ($($name:ident($ty:ty),)*) => {
        $(fn $name<E: Error>(self, _: $ty) -> Result<Kind, E> { Ok(Kind::Leaf) })*
    };
}

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    leaves! {
        visit_bool(bool),
        visit_i64(i64),
        visit_i128(i128),
        visit_u64(u64),
        visit_u128(u128),
        visit_f64(f64),
        visit_str(&str),
        visit_bytes(&[u8]),
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_none<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Kind::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Kind::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut nodes = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            nodes.push(entry);
        }
        Ok(Kind::Map(nodes))
    }
}
