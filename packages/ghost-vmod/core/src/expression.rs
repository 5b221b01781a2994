//! Regular expressions of the regex crate's syntax that match a whole text: one step for each byte of it, whatever they say.

use std::sync::Arc;

use regex_automata::{
    Anchored, MatchKind,
    dfa::{
        Automaton, StartKind,
        dense::{self, DFA},
    },
    nfa::thompson::{self, WhichCaptures},
    util::start,
};
use regex_syntax::hir::{Hir, Look, literal::Extractor};

/// Deeper nesting is refused: compiling recurses.
const NESTING: u32 = 100;
/// Bytes of an expression before it becomes an automaton, and of what making the automaton takes.
const PROGRAM_BYTES: usize = 1 << 18;
const MAKING_BYTES: usize = 1 << 21;
/// Bytes of the automaton of one expression.
pub const AUTOMATON_BYTES: usize = 1 << 18;

/// Why an expression of which making the automaton took all that it may is not served.
pub const TOO_LARGE: &str = "takes too large an automaton";

/// A compiled expression; a clone is the same one.
///
/// It is an automaton that is made as a whole beforehand. One that is made while requests are matched, as most programs
/// have it, can be made to be made anew for each byte.
#[derive(Clone, Debug)]
pub struct Expression(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    automaton: DFA<Vec<u32>>,
    prefix: Box<[u8]>,
}

impl Expression {
    /// The error says what is wrong, for people.
    ///
    /// Texts are bytes: `.` is any but the end of a line, `\w` a letter of ASCII. What only makes sense for characters,
    /// as `\p{Greek}`, makes the whole expression one of characters.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let parsed = parse(pattern, false).or_else(|_| parse(pattern, true)).map_err(|error| short(&error))?;
        let prefix = Extractor::new().extract(&parsed).longest_common_prefix().unwrap_or_default().into();
        // Anchored in the syntax tree: pasting the pattern between ^(?: and )$ would let `a)|(b` escape.
        let whole = Hir::concat(vec![Hir::look(Look::Start), parsed, Hir::look(Look::End)]);
        let program = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(PROGRAM_BYTES))
                    .which_captures(WhichCaptures::None),
            )
            .build_from_hir(&whole)
            .map_err(|error| error.size_limit().map_or_else(|| short(&error.to_string()), |_| TOO_LARGE.to_owned()))?;
        let made = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(MatchKind::All)
                    .accelerate(false)
                    .dfa_size_limit(Some(AUTOMATON_BYTES))
                    .determinize_size_limit(Some(MAKING_BYTES)),
            )
            .build_from_nfa(&program);
        let automaton = made.map_err(|error| {
            if error.is_size_limit_exceeded() { TOO_LARGE.to_owned() } else { short(&error.to_string()) }
        })?;
        Ok(Self(Arc::new(Compiled { automaton, prefix })))
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        self.0.automaton.memory_usage() + self.0.prefix.len()
    }

    /// What every text that matches begins with: another one is told apart within so many bytes.
    pub fn prefix(&self) -> &[u8] {
        &self.0.prefix
    }

    pub fn is_match(&self, text: &[u8]) -> bool {
        self.walk(text).1
    }

    /// How many bytes of the text are looked at, each once, and whether it matches.
    pub fn walk(&self, text: &[u8]) -> (usize, bool) {
        let automaton = &self.0.automaton;
        let Ok(mut state) = automaton.start_state(&start::Config::new().anchored(Anchored::Yes)) else {
            return (0, false);
        };
        for (place, byte) in text.iter().enumerate() {
            state = automaton.next_state(state, *byte);
            if automaton.is_dead_state(state) {
                return (place + 1, false);
            }
        }
        (text.len(), automaton.is_match_state(automaton.next_eoi_state(state)))
    }
}

fn parse(pattern: &str, has_characters: bool) -> Result<Hir, String> {
    let mut builder = regex_syntax::ParserBuilder::new();
    let parsed = builder.utf8(false).unicode(has_characters).nest_limit(NESTING).build().parse(pattern);
    parsed.map_err(|error| error.to_string())
}

/// The parser draws a picture of the pattern first; its last line says what is wrong.
fn short(message: &str) -> String {
    let last = message.lines().next_back().unwrap_or(message);
    last.trim_start_matches("error: ").chars().take(200).collect()
}
