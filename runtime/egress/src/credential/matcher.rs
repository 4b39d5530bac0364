//! Finds secrets in a text that comes in pieces, however they are escaped.
//!
//! The text is read by several *layers* at once: as it is, and with the escapes of
//! one format or of two within each other undone. All use one automaton for the
//! secrets and their spellings. Most text has no escapes, so a layer sleeps until a
//! byte comes with which one can begin, and again once it says what the text as it
//! is says.

use std::collections::{HashMap, VecDeque};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use zeroize::Zeroizing;

use super::escapes::{Decoder, Format, Unit};
use super::spellings::spellings;

/// What the layers beside the text as it is undo, the outermost first.
const LAYERS: [&[Format]; 9] = [
    &[Format::Percent],
    &[Format::Form],
    &[Format::Backslash],
    &[Format::Entity],
    &[Format::Any],
    &[Format::Wrapped],
    &[Format::Any, Format::Any],
    &[Format::Any, Format::Wrapped],
    &[Format::Entity, Format::Backslash],
];

/// An automaton for every spelling of some secrets.
pub(super) struct Automata {
    nfa: NFA,
    start: StateID,
    /// How many of the last bytes a state stands for.
    depths: HashMap<StateID, usize>,
    longest: usize,
}

impl Automata {
    /// None when it cannot be built.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let needles: Vec<Zeroizing<Vec<u8>>> = secrets.into_iter().flat_map(spellings).collect();
        let nfa = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(needles.iter().map(|needle| needle.as_slice()))
            .ok()?;
        let start = nfa.start_state(Anchored::No).ok()?;
        let mut depths = HashMap::from([(start, 0)]);
        for needle in &needles {
            let mut state = start;
            for (index, &byte) in needle.iter().enumerate() {
                state = nfa.next_state(Anchored::No, state, byte);
                depths.insert(state, index + 1);
            }
        }
        let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or(0);
        Some(Self {
            nfa,
            start,
            depths,
            longest,
        })
    }

    fn next(&self, state: StateID, byte: u8) -> StateID {
        self.nfa.next_state(Anchored::No, state, byte)
    }

    /// How many bytes may still become a secret. An unknown state cannot be; were
    /// it, nothing would be let through.
    fn depth(&self, state: StateID) -> usize {
        self.depths.get(&state).copied().unwrap_or(usize::MAX)
    }

    /// The length of the longest spelling that ends here.
    fn ends(&self, state: StateID) -> Option<usize> {
        if !self.nfa.is_match(state) {
            return None;
        }
        (0..self.nfa.match_len(state))
            .map(|index| self.nfa.pattern_len(self.nfa.match_pattern(state, index)))
            .max()
    }
}

/// A part of the text that is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Find {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The search through one text.
pub(super) struct Search {
    state: StateID,
    /// How many bytes there were.
    read: u64,
    layers: Vec<Layer>,
}

struct Layer {
    decoders: [Option<Decoder>; 2],
    awake: bool,
    state: StateID,
    /// Where the last units began.
    starts: VecDeque<u64>,
}

impl Search {
    pub(super) fn new(automata: &Automata) -> Self {
        let layer = |formats: &&[Format]| Layer {
            decoders: [0, 1].map(|index| formats.get(index).copied().map(Decoder::new)),
            awake: false,
            state: automata.start,
            starts: VecDeque::new(),
        };
        Self {
            state: automata.start,
            read: 0,
            layers: LAYERS.iter().map(layer).collect(),
        }
    }

    /// Reads one more byte.
    pub(super) fn push(&mut self, automata: &Automata, byte: u8, found: &mut dyn FnMut(Find)) {
        let before = self.state;
        let unit = Unit {
            byte,
            start: self.read,
            end: self.read + 1,
        };
        self.read = unit.end;
        self.state = automata.next(before, byte);
        if let Some(length) = automata.ends(self.state) {
            found(Find {
                start: unit.end.saturating_sub(length as u64),
                end: unit.end,
            });
        }
        for layer in &mut self.layers {
            if !layer.awake {
                if !layer.wakes(byte) {
                    continue;
                }
                layer.wake(automata, before, unit.start);
            }
            layer.push(automata, unit, found);
            layer.doze(automata, self.state, unit.end);
        }
    }

    /// Where the bytes begin that may still become a secret.
    pub(super) fn undecided(&self, automata: &Automata) -> u64 {
        let depth = automata.depth(self.state) as u64;
        let awake = self.layers.iter().filter(|layer| layer.awake);
        awake
            .filter_map(|layer| layer.undecided(automata))
            .fold(self.read.saturating_sub(depth), u64::min)
    }

    /// The text is over; the next one begins.
    pub(super) fn finish(&mut self, automata: &Automata, found: &mut dyn FnMut(Find)) {
        for layer in self.layers.iter_mut().filter(|layer| layer.awake) {
            layer.finish(automata, found);
            layer.awake = false;
        }
        self.state = automata.start;
        self.read = 0;
    }
}

impl Layer {
    fn wakes(&self, byte: u8) -> bool {
        self.decoders
            .iter()
            .flatten()
            .any(|decoder| decoder.format().begins(byte))
    }

    /// Goes on from where the text as it is stands.
    fn wake(&mut self, automata: &Automata, state: StateID, at: u64) {
        self.awake = true;
        self.state = state;
        let depth = automata.depth(state) as u64;
        self.starts.clear();
        self.starts.extend(at.saturating_sub(depth)..at);
        self.decoders.iter_mut().flatten().for_each(Decoder::forget);
    }

    /// Sleeps when it stands where the text as it is stands.
    fn doze(&mut self, automata: &Automata, state: StateID, read: u64) {
        let pending = self
            .decoders
            .iter()
            .flatten()
            .any(|d| d.pending().is_some());
        if pending || self.state != state {
            return;
        }
        let depth = automata.depth(state);
        self.awake = depth > 0 && self.start_of(depth) != Some(read.saturating_sub(depth as u64));
    }

    fn push(&mut self, automata: &Automata, unit: Unit, found: &mut dyn FnMut(Find)) {
        let Self {
            decoders: [first, second],
            state,
            starts,
            ..
        } = self;
        let mut end = |unit| step(automata, state, starts, unit, found);
        let mut middle = |unit| match second {
            Some(second) => second.push(unit, &mut end),
            None => end(unit),
        };
        match first {
            Some(first) => first.push(unit, &mut middle),
            None => middle(unit),
        }
    }

    fn finish(&mut self, automata: &Automata, found: &mut dyn FnMut(Find)) {
        let Self {
            decoders: [first, second],
            state,
            starts,
            ..
        } = self;
        let mut end = |unit| step(automata, state, starts, unit, found);
        if let Some(first) = first {
            first.finish(&mut |unit| match second {
                Some(second) => second.push(unit, &mut end),
                None => end(unit),
            });
        }
        if let Some(second) = second {
            second.finish(&mut end);
        }
    }

    fn undecided(&self, automata: &Automata) -> Option<u64> {
        let started = match automata.depth(self.state) {
            0 => None,
            depth => Some(self.start_of(depth).unwrap_or(0)),
        };
        let pending = self.decoders.iter().flatten().map(Decoder::pending);
        pending.chain([started]).flatten().min()
    }

    /// Where the last so many units began.
    fn start_of(&self, units: usize) -> Option<u64> {
        let index = self.starts.len().checked_sub(units)?;
        self.starts.get(index).copied()
    }
}

fn step(
    automata: &Automata,
    state: &mut StateID,
    starts: &mut VecDeque<u64>,
    unit: Unit,
    found: &mut dyn FnMut(Find),
) {
    *state = automata.next(*state, unit.byte);
    if starts.len() >= automata.longest.max(1) {
        starts.pop_front();
    }
    starts.push_back(unit.start);
    if let Some(length) = automata.ends(*state)
        && let Some(start) = starts
            .len()
            .checked_sub(length)
            .and_then(|index| starts.get(index))
    {
        found(Find {
            start: *start,
            end: unit.end,
        });
    }
}
