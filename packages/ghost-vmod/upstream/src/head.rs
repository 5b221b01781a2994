//! The head of an answer: what it says, and how long its body is. Whatever could be read in two ways is refused.

use std::{mem::MaybeUninit, time::Duration};

use crate::{error::Error, request::AsksFor};

/// How large an answer's head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// From the status line to the empty line.
    pub bytes: usize,
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { bytes: 64 << 10, fields: FIELDS }
    }
}

/// There is room on the stack for so many fields; more are parsed into the heap.
const FIELDS: usize = 128;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Nothing,
    Length(u64),
    Chunked,
    UntilClosed,
    /// There is none, and no other answer: the connection is a WebSocket.
    Upgraded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub status: u16,
    pub extent: Extent,
    pub content_length: Option<u64>,
    /// Whether the peer will take another request on the connection.
    pub is_persistent: bool,
    /// How long the peer says that it keeps the connection.
    pub keeps_for: Option<Duration>,
    pub is_http_1_1: bool,
    /// Of the head itself.
    pub bytes: usize,
}

impl Head {
    /// Not the answer itself, which is yet to come.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// Where texts stand in the head's bytes.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    pub reason: Span,
    /// Those that a proxy passes on.
    pub fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// From the name to the end of the value.
    pub line: Span,
    pub name_bytes: usize,
}

impl Spans {
    pub fn clear(&mut self) {
        self.reason = Span::default();
        self.fields.clear();
    }
}

/// Of the empty line's end, where the first `known` bytes hold none.
pub(crate) fn end_of(bytes: &[u8], known: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &bytes[known..]).map(|place| known + place + 1).find_map(|after| match bytes[after..] {
        [b'\n', ..] => Some(after + 1),
        [b'\r', b'\n', ..] => Some(after + 2),
        _ => None,
    })
}

/// Refuses at once what can never become a head: nobody should wait for the rest of it.
pub(crate) fn check_beginning(bytes: &[u8]) -> Result<(), Error> {
    let wanted = b"HTTP/1.";
    let begun = bytes.len().min(wanted.len());
    if bytes[..begun] == wanted[..begun] { Ok(()) } else { Err(Error::Malformed("not HTTP/1")) }
}

/// Parses a whole head, empty line included.
pub(crate) fn parse(bytes: &[u8], spans: &mut Spans, asked: AsksFor, most_fields: usize) -> Result<Head, Error> {
    spans.clear();
    check_beginning(bytes)?;
    let mut few = [const { MaybeUninit::uninit() }; FIELDS];
    let mut many = Vec::new();
    let room = if most_fields <= FIELDS {
        &mut few[..most_fields]
    } else {
        many.resize_with(most_fields, MaybeUninit::uninit);
        &mut many[..]
    };
    let mut parsed = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, room) {
        Ok(httparse::Status::Complete(read)) if read == bytes.len() => {}
        Ok(_) => return Err(Error::Malformed("an early end")),
        Err(error) => return Err(Error::Malformed(reason_of(error))),
    }
    let span = |text: &[u8]| {
        let start = (text.as_ptr().addr()).saturating_sub(bytes.as_ptr().addr());
        Span { start, end: start + text.len() }
    };
    let mut terms = Terms::default();
    for field in &*parsed.headers {
        let name = field.name.as_bytes();
        if !terms.read(name, field.value)? {
            let line = Span { start: span(name).start, end: span(field.value).end.max(span(name).end + 1) };
            spans.fields.push(Field { line, name_bytes: name.len() });
        }
    }
    if terms.names_others {
        let named = |field: &Field| {
            let name = &bytes[field.line.start..][..field.name_bytes];
            parsed.headers.iter().any(|other| is(other.name.as_bytes(), b"connection") && lists(other.value, name))
        };
        spans.fields.retain(|field| !named(field));
    }
    spans.reason = span(parsed.reason.unwrap_or_default().as_bytes());
    let head = terms.head(parsed.code.unwrap_or_default(), parsed.version == Some(1), asked)?;
    Ok(Head { bytes: bytes.len(), ..head })
}

/// What the fields say about the connection and the body.
#[derive(Default)]
struct Terms {
    content_length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    /// Connection names fields that are for us only.
    names_others: bool,
    keeps_for: Option<Duration>,
    becomes: Option<Becomes>,
}

/// What the connection is said to become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becomes {
    WebSocket,
    /// Something else, or several things.
    Another,
}

impl Terms {
    /// Whether the field is between the peer and us, and not passed on as it is.
    fn read(&mut self, name: &[u8], value: &[u8]) -> Result<bool, Error> {
        if is(name, b"content-length") {
            if self.content_length.replace(length(value)?).is_some() {
                return Err(Error::Malformed("two lengths"));
            }
        } else if is(name, b"transfer-encoding") {
            if self.is_chunked || !is(value, b"chunked") {
                return Err(Error::Malformed("a transfer encoding other than chunked"));
            }
            self.is_chunked = true;
        } else if is(name, b"connection") {
            self.closes |= lists(value, b"close");
            self.names_others |= !(is(value, b"close") || is(value, b"keep-alive"));
        } else if is(name, b"upgrade") {
            let is_websocket = is(value, b"websocket") && self.becomes.is_none();
            self.becomes = Some(if is_websocket { Becomes::WebSocket } else { Becomes::Another });
        } else if is(name, b"keep-alive") {
            self.keeps_for = keeps_for(value);
        } else {
            return Ok([&b"trailer"[..], b"te", b"proxy-connection"].iter().any(|hop| is(name, hop)));
        }
        Ok(true)
    }

    fn head(self, status: u16, is_http_1_1: bool, asked: AsksFor) -> Result<Head, Error> {
        let is_upgraded = is_http_1_1 && self.becomes == Some(Becomes::WebSocket) && asked == AsksFor::WebSocket;
        let extent = match self.content_length {
            _ if status < 100 => return Err(Error::Malformed("a status below 100")),
            _ if status == 101 && !is_upgraded => {
                return Err(Error::Malformed("a change of protocol that nobody asked for"));
            }
            Some(_) if self.is_chunked => return Err(Error::Malformed("a length, and chunked")),
            _ if self.is_chunked && !is_http_1_1 => return Err(Error::Malformed("chunked, in HTTP/1.0")),
            _ if status == 101 => Extent::Upgraded,
            _ if asked == AsksFor::Head || status < 200 || status == 204 || status == 304 => Extent::Nothing,
            _ if self.is_chunked => Extent::Chunked,
            Some(length) => Extent::Length(length),
            None => Extent::UntilClosed,
        };
        let Self { content_length, closes, keeps_for, .. } = self;
        // What a 204 announces may come, and must not be taken for the next answer.
        let is_odd = status == 204 && (self.is_chunked || content_length > Some(0));
        let is_persistent =
            is_http_1_1 && !closes && !is_odd && !matches!(extent, Extent::UntilClosed | Extent::Upgraded);
        Ok(Head { status, extent, content_length, is_persistent, keeps_for, is_http_1_1, bytes: 0 })
    }
}

/// Digits only: a list, a sign or a space between them is refused.
fn length(value: &[u8]) -> Result<u64, Error> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|text| text.parse::<u64>().ok());
    // Varnish counts in signed numbers.
    number.filter(|number| i64::try_from(*number).is_ok()).ok_or(Error::Malformed("a length that is no number"))
}

/// `timeout=5`: one second less, since the peer began to count before us.
fn keeps_for(value: &[u8]) -> Option<Duration> {
    let mut parameters = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let seconds = parameters.find_map(|parameter| parameter.strip_prefix(b"timeout="))?;
    let seconds = std::str::from_utf8(seconds).ok()?.parse::<u32>().ok()?;
    Some(Duration::from_secs(u64::from(seconds).saturating_sub(1)))
}

pub(crate) fn is(text: &[u8], wanted: &[u8]) -> bool {
    text.eq_ignore_ascii_case(wanted)
}

pub(crate) fn lists(value: &[u8], wanted: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|part| is(part.trim_ascii(), wanted))
}

fn reason_of(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a field's name",
        httparse::Error::HeaderValue => "a field's value",
        httparse::Error::NewLine => "a line's end",
        httparse::Error::Status => "the status",
        httparse::Error::TooManyHeaders => "too many fields",
        httparse::Error::Version => "not HTTP/1.0 or HTTP/1.1",
        httparse::Error::Token => "the status line",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(fields: &str) -> Result<Head, Error> {
        parse(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), &mut Spans::default(), AsksFor::Whole, FIELDS)
    }

    fn extent(fields: &str) -> Result<Extent, Error> {
        parsed(fields).map(|head| head.extent)
    }

    #[test]
    fn a_body_has_one_extent() {
        assert_eq!(extent("Content-Length: 5\r\n"), Ok(Extent::Length(5)));
        assert_eq!(extent("transfer-encoding:  Chunked \r\n"), Ok(Extent::Chunked));
        assert_eq!(extent(""), Ok(Extent::UntilClosed));
        for wrong in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 9223372036854775808\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding\r\n",
            "Transfer-Encoding : chunked\r\n",
            "A: b\r\n c\r\n",
            "A: b\0c\r\n",
            "A: b\rc\r\n",
            ": b\r\n",
            "A b: c\r\n",
        ] {
            assert!(matches!(extent(wrong), Err(Error::Malformed(_))), "{wrong:?}: {:?}", extent(wrong));
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        for (status, asked) in
            [(200, AsksFor::Head), (204, AsksFor::Whole), (304, AsksFor::Whole), (100, AsksFor::Whole)]
        {
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
            let head = parse(text.as_bytes(), &mut Spans::default(), asked, FIELDS).unwrap();
            assert_eq!((head.extent, head.content_length), (Extent::Nothing, Some(5)));
        }
    }

    #[test]
    fn only_http_1_with_a_status() {
        for wrong in [
            "HTTP/2.0 200 OK",
            "HTTP/1.2 200 OK",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 099 OK",
            "HTTP/1.1 101 Switching",
            "HTTP/1.1  200 OK",
            "ICY 200 OK",
            "\r\nHTTP/1.1 200 OK",
            "HTTP/1.1 200 O\x01K",
        ] {
            let outcome = parse(format!("{wrong}\r\n\r\n").as_bytes(), &mut Spans::default(), AsksFor::Whole, FIELDS);
            assert!(matches!(outcome, Err(Error::Malformed(_))), "{wrong:?}: {outcome:?}");
        }
        let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(parse(old.as_bytes(), &mut Spans::default(), AsksFor::Whole, FIELDS).is_err());
    }

    #[test]
    fn a_connection_becomes_what_was_asked_for_or_nothing() {
        let answer = |version: &str, fields: &str, asked| {
            parse(format!("HTTP/{version} 101 X\r\n{fields}\r\n").as_bytes(), &mut Spans::default(), asked, FIELDS)
        };
        let (websocket, h2c) = ("Upgrade: WebSocket\r\n", "Upgrade: h2c\r\n");
        let head = answer("1.1", websocket, AsksFor::WebSocket).unwrap();
        assert_eq!((head.extent, head.is_interim(), head.is_persistent), (Extent::Upgraded, false, false));
        for (version, fields, asked) in [
            ("1.1", websocket, AsksFor::Whole),
            ("1.0", websocket, AsksFor::WebSocket),
            ("1.1", "", AsksFor::WebSocket),
            ("1.1", h2c, AsksFor::WebSocket),
            ("1.1", "Upgrade: websocket, h2c\r\n", AsksFor::WebSocket),
            ("1.1", &format!("{h2c}{websocket}"), AsksFor::WebSocket),
            ("1.1", &format!("{websocket}Content-Length: 1\r\nContent-Length: 1\r\n"), AsksFor::WebSocket),
            ("1.1", &format!("{websocket}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), AsksFor::WebSocket),
        ] {
            assert!(matches!(answer(version, fields, asked), Err(Error::Malformed(_))), "{version} {fields:?}");
        }
    }

    #[test]
    fn what_is_between_two_neighbours_stays_there() {
        let text = b"HTTP/1.1 200 Fine\r\nX-Private: 1\r\nA: b \r\nConnection: keep-alive, x-private\r\nEmpty:\r\n\
                     Keep-Alive: max=3, timeout=5\r\nUpgrade: h2c\r\nTrailer: x\r\nContent-Length: 0\r\n\r\n";
        let mut spans = Spans::default();
        let head = parse(text, &mut spans, AsksFor::Whole, FIELDS).unwrap();
        let lines: Vec<_> = spans.fields.iter().map(|field| &text[field.line.start..field.line.end]).collect();
        assert_eq!(lines, [&b"A: b"[..], b"Empty:"]);
        assert_eq!(&text[spans.reason.start..spans.reason.end], b"Fine");
        assert_eq!(head.keeps_for, Some(Duration::from_secs(4)));
        assert!(head.is_persistent);
    }

    #[test]
    fn a_connection_persists_only_when_both_know_it() {
        for (text, is_persistent) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: a, Close\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false),
        ] {
            assert_eq!(
                parse(text.as_bytes(), &mut Spans::default(), AsksFor::Whole, FIELDS).unwrap().is_persistent,
                is_persistent
            );
        }
    }

    #[test]
    fn the_end_is_the_empty_line() {
        assert_eq!(end_of(b"a\r\nb\r\n\r\nc", 0), Some(8));
        assert_eq!(end_of(b"a\nb\n\nc", 0), Some(5));
        assert_eq!(end_of(b"a\r\nb\r\n\r", 0), None);
        assert_eq!(end_of(b"a\r\nb\r\n\r\nc", 5), Some(8));
    }
}
