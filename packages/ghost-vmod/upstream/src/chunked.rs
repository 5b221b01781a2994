//! Chunked bodies, decoded where they lie.

use std::ops::Range;

use crate::error::Error;

/// The longest line between chunks, with its extensions; the same for each trailer.
const LINE_BYTES: usize = 4096;
/// All trailers together.
const TRAILER_BYTES: usize = 16 << 10;
/// More than a length can have.
const DIGITS: u8 = 15;
/// What lines between chunks may cost beyond their data: a size, and an extension as long as the data pay for.
const EXTENSION_BYTES: u64 = 16 << 10;
const SIZE_LINE_BYTES: u64 = 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// Blanks or an extension after the size.
    Extension {
        is_named: bool,
    },
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
    Done,
}

#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    state: State,
    /// Blanks after a size are for an extension only.
    is_strict: bool,
    digits: u8,
    /// Of the chunk; counts down while its data come.
    size: u64,
    /// Of the line that is being read.
    line: usize,
    trailers: usize,
    /// What extensions took that no data paid for.
    extensions: u64,
}

/// What a stretch of input held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Where the data now lie, without gaps.
    pub data: Range<usize>,
    /// How much of the input was used; what is left came after the body.
    pub consumed: usize,
    pub is_done: bool,
}

impl Decoder {
    /// Of an answer: old servers fill up their sizes with blanks.
    pub(crate) fn new() -> Self {
        let state = State::Size;
        Self { state, is_strict: false, digits: 0, size: 0, line: 0, trailers: 0, extensions: 0 }
    }

    /// Of a request: what RFC 9112, 7.1 has, and nothing else.
    pub fn strict() -> Self {
        Self { is_strict: true, ..Self::new() }
    }

    /// How many of the next bytes are data for certain.
    pub fn data_ahead(&self) -> u64 {
        if self.state == State::Data { self.size } else { 0 }
    }

    /// Uses what there is, moving the data together.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Error> {
        let (mut place, mut data) = (0, 0..0);
        while place < bytes.len() && self.state != State::Done {
            if self.state != State::Data {
                self.step(bytes[place])?;
                place += 1;
                continue;
            }
            let left = bytes.len() - place;
            let taken = usize::try_from(self.size).map_or(left, |size| size.min(left));
            if data.is_empty() {
                data = place..place;
            }
            bytes.copy_within(place..place + taken, data.end);
            data.end += taken;
            place += taken;
            self.size -= taken as u64;
            if self.size == 0 {
                self.state = State::DataCr;
            }
        }
        Ok(Decoded { data, consumed: place, is_done: self.state == State::Done })
    }

    fn step(&mut self, byte: u8) -> Result<(), Error> {
        self.line += 1;
        if self.line > LINE_BYTES {
            return Err(Error::Malformed("a long line in a chunked body"));
        }
        self.state = match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte)?,
            (State::Size | State::Extension { is_named: true }, b'\r') if self.digits > 0 => State::SizeEnd,
            (State::Extension { is_named: false }, b'\r') if !self.is_strict => State::SizeEnd,
            (State::Size, b';') if self.digits > 0 => State::Extension { is_named: true },
            (State::Size, b' ' | b'\t') if self.digits > 0 => State::Extension { is_named: false },
            (State::Extension { .. }, b';') => State::Extension { is_named: true },
            (State::Extension { is_named }, b' ' | b'\t') => State::Extension { is_named },
            (State::Extension { is_named: true }, b'!'..=b'~' | 0x80..) => self.state,
            (State::SizeEnd, b'\n') => self.chunk()?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => self.next(State::Size),
            (State::TrailerStart, b'\r') => State::LastEnd,
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => State::TrailerName,
            (State::TrailerValue, b'\r') => State::TrailerEnd,
            (State::TrailerName, b':') | (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => State::TrailerValue,
            (State::TrailerEnd, b'\n') => self.trailer()?,
            (State::LastEnd, b'\n') => State::Done,
            _ => return Err(Error::Malformed("a chunk's frame")),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<State, Error> {
        self.digits += 1;
        if self.digits > DIGITS {
            return Err(Error::Malformed("a chunk's size"));
        }
        self.size = self.size << 4 | u64::from(char::from(byte).to_digit(16).unwrap_or_default());
        Ok(State::Size)
    }

    fn chunk(&mut self) -> Result<State, Error> {
        let is_last = self.size == 0;
        let paid = SIZE_LINE_BYTES.saturating_add(self.size);
        self.extensions = (self.extensions + self.line as u64).saturating_sub(paid);
        if self.extensions > EXTENSION_BYTES {
            return Err(Error::Malformed("many extensions of chunks"));
        }
        self.digits = 0;
        Ok(self.next(if is_last { State::TrailerStart } else { State::Data }))
    }

    fn trailer(&mut self) -> Result<State, Error> {
        self.trailers += self.line;
        if self.trailers > TRAILER_BYTES {
            return Err(Error::Malformed("many trailers"));
        }
        Ok(self.next(State::TrailerStart))
    }

    fn next(&mut self, state: State) -> State {
        self.line = 0;
        state
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, and how many bytes came after the body; None when it goes on.
    fn decoded(text: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Error> {
        decoded_by(Decoder::strict(), text, piece)
    }

    fn decoded_by(mut decoder: Decoder, text: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Error> {
        let (mut data, mut place) = (Vec::new(), 0);
        while place < text.len() {
            let mut bytes = text[place..text.len().min(place + piece)].to_vec();
            let step = decoder.decode(&mut bytes)?;
            data.extend_from_slice(&bytes[step.data]);
            place += step.consumed;
            if step.is_done {
                return Ok(Some((data, text.len() - place)));
            }
        }
        Ok(None)
    }

    #[test]
    fn chunks_extensions_and_trailers() {
        let text =
            b"5\r\nhello\r\n6 ; a=\"b c\"\t;d\r\n world\r\n0010\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\nE:\r\n\r\nmore";
        for piece in 1..=text.len() {
            let (data, surplus) = decoded(text, piece).unwrap().unwrap();
            assert_eq!(&data[..], b"hello world0123456789abcdef");
            assert_eq!(surplus, 4);
        }
    }

    #[test]
    fn a_body_that_goes_on_is_not_done() {
        let text = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for length in 0..text.len() {
            assert_eq!(decoded(&text[..length], 3), Ok(None));
        }
    }

    #[test]
    fn frames_are_as_the_specification_has_them() {
        for wrong in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\n",
            " 5\r\n",
            "5\n",
            "5\rx",
            "5 6\r\n",
            "5;\n",
            "5;a\r\r\n",
            "5;a\rb\r\n",
            "5;a\x7f\r\n",
            "5 \r\n",
            "5\t\r\n",
            "5 \t;a\0\r\n",
            ";a\r\n",
            "+5\r\n",
            "\n5\r\n",
            "5\r\nhello\r5\r\n",
            "0\r\nX: y\rZ: z\r\n\r\n",
            "5;a\x01\r\n",
            "5\r\nhello\n",
            "5\r\nhello0\r\n",
            "5\r\nhello!\r\n",
            "1000000000000000\r\n",
            "00000000000000005\r\n",
            "0\r\n X: y\r\n",
            "0\r\n: y\r\n",
            "0\r\nX y\r\n",
            "0\r\nX\r\n",
            "0\r\nX: y\n\r\n",
            "0\r\nX: \0\r\n",
            "0\r\n\n",
            "0\r\n\rx",
        ] {
            for piece in [1, 100] {
                assert!(matches!(decoded(wrong.as_bytes(), piece), Err(Error::Malformed(_))), "{wrong:?}");
            }
        }
    }

    #[test]
    fn old_servers_fill_up_their_sizes() {
        assert!(decoded_by(Decoder::new(), b"5  \t\r\nhello\r\n0 \r\n\r\n", 100).unwrap().is_some());
    }

    #[test]
    fn extensions_cost_no_more_than_the_data() {
        let signed = |data: usize, extension: usize| {
            let chunk = format!("{data:x};{}\r\n{}\r\n", "e".repeat(extension), "d".repeat(data));
            decoded(format!("{}0\r\n\r\n", chunk.repeat(100)).as_bytes(), 4096)
        };
        assert!(signed(200, 200).unwrap().is_some());
        assert!(signed(1, 160).unwrap().is_some());
        assert_eq!(signed(1, 200), Err(Error::Malformed("many extensions of chunks")));
    }

    #[test]
    fn lines_and_trailers_have_an_end() {
        let extension = format!("5;{}", "a".repeat(LINE_BYTES));
        assert!(decoded(extension.as_bytes(), 100).is_err());
        let trailers = format!("0\r\n{}", format!("A: {}\r\n", "b".repeat(2000)).repeat(10));
        assert!(decoded(trailers.as_bytes(), 100).is_err());
    }
}
