//! Where answers are read into: a buffer that belongs to the thread, lent to one answer at a time.

use std::{cell::RefCell, io, mem};

use crate::{
    error::Error,
    head::{self, Head, Span, Spans},
    request::AsksFor,
    transport::{Transport, Wait},
};

/// Room for a body of 64 KiB with its head.
const BYTES: usize = (64 << 10) + (4 << 10);
/// How many buffers a thread keeps. A second is needed only where one answer is read while another is under way.
const SPARE: usize = 2;

thread_local! {
    static SPARES: RefCell<Vec<Room>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug, Default)]
struct Room {
    bytes: Box<[u8]>,
    /// Of the last head, while its bytes are there.
    spans: Spans,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    room: Room,
    /// What was read and not yet used.
    start: usize,
    end: usize,
}

impl Inbox {
    pub fn new() -> Self {
        let spare = SPARES.try_with(|spares| spares.borrow_mut().pop()).ok().flatten();
        let room = spare.unwrap_or_else(|| Room { bytes: vec![0; BYTES].into(), spans: Spans::default() });
        Self { room, start: 0, end: 0 }
    }

    pub fn unread(&self) -> &[u8] {
        &self.room.bytes[self.start..self.end]
    }

    pub fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.room.bytes[self.start..self.end]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The first unread bytes are used; returns where they are.
    pub fn consume(&mut self, bytes: usize) -> usize {
        let place = self.start;
        self.start = (self.start + bytes).min(self.end);
        place
    }

    /// Bytes wherever they are, until the next `fill`.
    pub fn at(&self, start: usize, length: usize) -> &[u8] {
        self.room.bytes.get(start..start + length).unwrap_or_default()
    }

    /// Uses the first unread bytes, which are a whole head, and remembers where its texts are.
    pub fn parse_head(&mut self, bytes: usize, asked: AsksFor, most_fields: usize) -> Result<Head, Error> {
        let place = self.consume(bytes);
        let Room { bytes: room, spans } = &mut self.room;
        let head = head::parse(&room[place..self.start], spans, asked, most_fields);
        let moved = |span: Span| Span { start: span.start + place, end: span.end + place };
        spans.reason = moved(spans.reason);
        spans.fields.iter_mut().for_each(|field| field.line = moved(field.line));
        head
    }

    pub fn reason(&self) -> &[u8] {
        self.text(self.room.spans.reason)
    }

    /// The fields of the last head, with the bytes of their names.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], usize)> + Clone {
        self.room.spans.fields.iter().map(|field| (self.text(field.line), field.name_bytes))
    }

    fn text(&self, span: Span) -> &[u8] {
        self.room.bytes.get(span.start..span.end).unwrap_or_default()
    }

    /// Reads what there is, behind what was read before: the texts of the last head stay where they are. A buffer that is
    /// full can take none, as if there were none.
    pub fn fill_behind(&mut self, transport: &mut impl Transport) -> io::Result<usize> {
        if self.end == self.room.bytes.len() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let read = transport.read(&mut self.room.bytes[self.end..], Wait::Not)?;
        self.end += read;
        Ok(read)
    }

    /// Reads more. What was used before is lost. The buffer grows where a head, whose limit is the caller's, fills it.
    pub fn fill(&mut self, transport: &mut impl Transport, wait: Wait<'_>) -> io::Result<usize> {
        self.room.spans.clear();
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.room.bytes.len() {
            self.room.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.room.bytes.len() {
            let larger = mem::take(&mut self.room.bytes).into_vec();
            self.room.bytes = [larger, vec![0; BYTES]].concat().into();
        }
        let read = transport.read(&mut self.room.bytes[self.end..], wait)?;
        self.end += read;
        Ok(read)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let room = mem::take(&mut self.room);
        _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE && room.bytes.len() == BYTES {
                spares.push(room);
            }
        });
    }
}
