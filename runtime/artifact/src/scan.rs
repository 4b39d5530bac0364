//! One pass over the outermost sections of a component.
//!
//! Nested modules and components are counted and stepped over: what stands
//! inside them cannot reach the host except through the outermost imports, and
//! the engine validates them anyway before it compiles. So the cost is linear in
//! the number of sections, nothing is allocated in proportion to a length
//! that the file claims, and a bomb hidden in a function body costs nothing.
//!
//! The counts keep accidents from the compiler, with room for the largest
//! interpreters. They are not what holds a bomb: that is the compiler's process.

use std::ops::Range;

use servo_policy::Advice;
use wasmparser::{Chunk, ComponentExternalKind, Parser, Payload};

/// Name of the custom section that holds the manifest.
pub(crate) const MANIFEST_SECTION: &str = "servo-driver-manifest";

/// A component of our world names about forty interfaces. Far more than that
/// is no driver, and would only fill an operator's terminal.
const MAX_NAMES: usize = 1000;

/// Core modules: one from Rust or C has three, CPython with its libraries about
/// thirty.
const MAX_MODULES: u64 = 200;

/// Components in a component: one for each exported interface, and those that
/// were composed.
const MAX_COMPONENTS: u64 = 64;

/// Functions of all outermost modules: interpreters have some ten thousand.
const MAX_FUNCTIONS: u64 = 200_000;

/// What the outermost sections say.
#[derive(Debug, Default)]
pub(crate) struct Scan<'a> {
    pub(crate) imports: Vec<Item<'a>>,
    pub(crate) exports: Vec<Item<'a>>,
    /// Every section named [`MANIFEST_SECTION`], in order.
    pub(crate) manifests: Vec<Section<'a>>,
}

/// One import or export.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) name: &'a str,
    /// Interfaces are imported and exported as instances; all else is foreign.
    pub(crate) is_instance: bool,
}

/// One custom section.
#[derive(Debug, Clone)]
pub(crate) struct Section<'a> {
    /// Where it lies in the file, header included.
    pub(crate) whole: Range<usize>,
    /// What it holds.
    pub(crate) data: &'a [u8],
}

/// Bytes that are not a whole component.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAComponent {
    /// There is nothing.
    Empty,
    /// It ends in the middle.
    Truncated {
        /// Length of the file in bytes.
        at: usize,
    },
    /// The text format, a script, an error page.
    Text,
    /// A module without the component layer.
    CoreModule,
    /// Native code: a program, a library, or code precompiled by an engine.
    NativeCode,
    /// WebAssembly of a kind that does not exist yet, or no longer.
    WrongLayer {
        /// The version field of the header.
        version: u16,
        /// The layer field of the header: 0 is a module, 1 a component.
        layer: u16,
    },
    /// Anything else.
    Unknown,
    /// More of something than any compiler makes.
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many there are, as far as they were counted.
        found: u64,
        /// The most that are accepted.
        max: u64,
    },
    /// It begins like a component and is none.
    Malformed {
        /// Offset in the file.
        at: usize,
        /// What is wrong there.
        message: String,
    },
}

impl NotAComponent {
    /// What is wrong, and what to do.
    pub fn advice(&self) -> Advice {
        const BUILD: &str = "build it with `servo driver build`";
        match self {
            Self::Empty => Advice::new("the file is empty", BUILD),
            Self::Truncated { at } => Advice::new(
                format!("the file is truncated: it ends at byte {at} in the middle of a section"),
                "copy or build it again",
            ),
            Self::Text => Advice::new("the file is text, not a compiled component", BUILD),
            Self::CoreModule => Advice::new(
                "the file is a core WebAssembly module, not a component",
                "build it for the target wasm32-wasip2 with `servo driver build`",
            ),
            Self::NativeCode => Advice::new(
                "the file is precompiled native code, which cannot be checked and is never loaded",
                "give the `.wasm` component it was made from",
            ),
            Self::WrongLayer { version, layer } => Advice::new(
                format!(
                    "the file is WebAssembly of an unknown form (version {version}, layer {layer})"
                ),
                BUILD,
            ),
            Self::Unknown => Advice::new("the file is not WebAssembly", BUILD),
            Self::TooMany { what, found, max } => Advice::new(
                format!("the file has {found} {what} and at most {max} are accepted"),
                "build the driver as one program",
            ),
            Self::Malformed { at, message } => Advice::new(
                format!("the file is a damaged component: at byte {at}: {message}"),
                "copy or build it again",
            ),
        }
    }
}

impl std::fmt::Display for NotAComponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.advice().fmt(f)
    }
}

impl std::error::Error for NotAComponent {}

/// Looks at the header alone.
fn check_header(bytes: &[u8]) -> Result<(), NotAComponent> {
    const MAGIC: &[u8] = b"\0asm";
    const ELF: &[u8] = b"\x7fELF";
    // As long as the tools accept it: the only version of the component layer.
    const COMPONENT_VERSION: u16 = 13;

    if bytes.is_empty() {
        return Err(NotAComponent::Empty);
    }
    if bytes.starts_with(ELF) {
        return Err(NotAComponent::NativeCode);
    }
    if let Some(&[a, b, c, d]) = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.first_chunk())
    {
        return match (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])) {
            (COMPONENT_VERSION, 1) => Ok(()),
            (1, 0) => Err(NotAComponent::CoreModule),
            (version, layer) => Err(NotAComponent::WrongLayer { version, layer }),
        };
    }
    if MAGIC.starts_with(bytes) || bytes.starts_with(MAGIC) {
        return Err(NotAComponent::Truncated { at: bytes.len() });
    }
    let head = bytes.get(..256).unwrap_or(bytes);
    let is_text = head
        .iter()
        .all(|&b| b >= b' ' && b != 0x7f || matches!(b, b'\t' | b'\n' | b'\r'));
    Err(match is_text && head.utf8_chunks().count() <= 1 {
        true => NotAComponent::Text,
        false => NotAComponent::Unknown,
    })
}

/// Reads the outermost sections of a component.
pub(crate) fn scan(bytes: &[u8]) -> Result<Scan<'_>, NotAComponent> {
    check_header(bytes)?;
    let malformed = |error: wasmparser::BinaryReaderError| NotAComponent::Malformed {
        at: error.offset(),
        message: error.message().to_owned(),
    };
    let truncated = NotAComponent::Truncated { at: bytes.len() };
    let mut found = Scan::default();
    let mut counts = Counts::default();
    let mut parser = Parser::new(0);
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).ok_or_else(|| truncated.clone())?;
        if rest.is_empty() {
            return Ok(found);
        }
        let start = at;
        let payload = match parser.parse(rest, false).map_err(malformed)? {
            Chunk::NeedMoreData(_) => return Err(truncated),
            Chunk::Parsed { consumed, payload } => {
                at += consumed;
                payload
            }
        };
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                let module = bytes.get(unchecked_range.clone()).unwrap_or_default();
                counts.modules.add(1)?;
                counts.functions.add(functions(module))?;
                at = unchecked_range.end;
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => {
                counts.components.add(1)?;
                at = unchecked_range.end;
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(malformed)?;
                    let is_instance = import.ty.kind() == ComponentExternalKind::Instance;
                    let name = import.name.name;
                    keep(&mut found.imports, Item { name, is_instance }, start)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(malformed)?;
                    let is_instance = export.kind == ComponentExternalKind::Instance;
                    let name = export.name.name;
                    keep(&mut found.exports, Item { name, is_instance }, start)?;
                }
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                found.manifests.push(Section {
                    whole: start..at,
                    data: section.data(),
                });
            }
            Payload::UnknownSection { id, .. } => {
                return Err(NotAComponent::Malformed {
                    at: start,
                    message: format!("unknown section {id}"),
                });
            }
            _ => {}
        }
    }
}

/// How many functions a module says that it has; its code is not read. What is
/// wrong with it is for the engine to say.
fn functions(module: &[u8]) -> u64 {
    let mut parser = Parser::new(0);
    let mut rest = module;
    while let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true) {
        match payload {
            Payload::FunctionSection(section) => return section.count().into(),
            Payload::CodeSectionStart { .. } | Payload::End(_) => break,
            _ => rest = rest.get(consumed..).unwrap_or_default(),
        }
    }
    0
}

/// What is counted, each with its most.
struct Counts {
    modules: Count,
    components: Count,
    functions: Count,
}

impl Default for Counts {
    fn default() -> Self {
        let count = |what, max| Count {
            what,
            found: 0,
            max,
        };
        Self {
            modules: count("core modules", MAX_MODULES),
            components: count("nested components", MAX_COMPONENTS),
            functions: count("functions", MAX_FUNCTIONS),
        }
    }
}

struct Count {
    what: &'static str,
    found: u64,
    max: u64,
}

impl Count {
    fn add(&mut self, more: u64) -> Result<(), NotAComponent> {
        self.found = self.found.saturating_add(more);
        if self.found <= self.max {
            return Ok(());
        }
        Err(NotAComponent::TooMany {
            what: self.what,
            found: self.found,
            max: self.max,
        })
    }
}

fn keep<'a>(list: &mut Vec<Item<'a>>, item: Item<'a>, at: usize) -> Result<(), NotAComponent> {
    if list.len() >= MAX_NAMES {
        return Err(NotAComponent::Malformed {
            at,
            message: format!("more than {MAX_NAMES} imports or exports"),
        });
    }
    list.push(item);
    Ok(())
}
