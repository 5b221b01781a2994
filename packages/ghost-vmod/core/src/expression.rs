//! Regular expressions of the regex crate's syntax that match a whole text, in time linear to it.

use regex_automata::{Anchored, Input, meta};
use regex_syntax::hir::{Hir, Look};

/// Deeper nesting is refused: compiling recurses.
const NESTING: u32 = 100;
/// Bytes of one compiled expression. Its states bound what a byte of text can cost at worst.
const PROGRAM_BYTES: usize = 1 << 18;
/// Bytes of one lazily built automaton; when it is full, matching goes on more slowly, still linear.
const CACHE_BYTES: usize = 1 << 18;

/// A compiled expression; a clone is the same one.
#[derive(Clone, Debug)]
pub struct Expression(meta::Regex);

impl Expression {
    /// The error says what is wrong, for people.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let parsed = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .nest_limit(NESTING)
            .build()
            .parse(pattern)
            .map_err(|error| short(&error.to_string()))?;
        // Anchored in the syntax tree: pasting the pattern between ^(?: and )$ would let `a)|(b` escape.
        let whole = Hir::concat(vec![Hir::look(Look::Start), parsed, Hir::look(Look::End)]);
        meta::Builder::new()
            .configure(
                meta::Config::new()
                    .utf8_empty(false)
                    .nfa_size_limit(Some(PROGRAM_BYTES))
                    .onepass_size_limit(Some(PROGRAM_BYTES))
                    .hybrid_cache_capacity(CACHE_BYTES)
                    .which_captures(regex_automata::nfa::thompson::WhichCaptures::None),
            )
            .build_from_hir(&whole)
            .map(Self)
            .map_err(|error| short(&error.to_string()))
    }

    /// What it takes of memory, without the automata that threads build lazily.
    pub fn bytes(&self) -> usize {
        self.0.memory_usage()
    }

    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(Input::new(text).anchored(Anchored::Yes))
    }
}

/// The parser draws a picture of the pattern first; its last line says what is wrong.
fn short(message: &str) -> String {
    let last = message.lines().next_back().unwrap_or(message);
    last.trim_start_matches("error: ").chars().take(200).collect()
}
