//! What the fuzz target and its stable stand-in feed: bytes that a backend might send.

use crate::{
    Deadlines, Error, Framing, PoolLimits, RequestHead, Response, Upstreams,
    scripted::{Line, Script, Scripted},
};

/// Reads the bytes as an answer that arrives in pieces of so many bytes. Returns its status and its body, which is the
/// same piece by piece as read into rooms of that size.
pub fn answer(input: &[u8], piece: usize, method: &[u8]) -> Result<(u16, Vec<u8>), Error> {
    let outcome = read(input, piece, method, by_pieces);
    let into_rooms = read(input, piece, method, |response| into_rooms(response, piece));
    assert_eq!(outcome, into_rooms, "how a body is read changes nothing");
    outcome
}

fn read(
    input: &[u8],
    piece: usize,
    method: &[u8],
    body_of: impl Fn(&mut Response<Script>) -> Result<Vec<u8>, Error>,
) -> Result<(u16, Vec<u8>), Error> {
    let lines = input.chunks(piece.max(1)).map(|bytes| Line::Says(bytes.to_vec()));
    let upstreams = Upstreams::new(Script::new([Scripted::new(lines)]), PoolLimits::default());
    let mut request = RequestHead::default();
    request.begin(method, b"/");
    request.end(Framing::Nothing);
    let upstream = upstreams.get(&([127, 0, 0, 1], 80).into());
    let mut response = upstream.exchange(&request, None, Deadlines::default())?;
    let fields = response.fields().map(|(line, _)| line.len()).sum::<usize>();
    assert!(fields + response.reason().len() <= input.len(), "texts of the answer are in its bytes");
    let (length, has_body) = (response.content_length(), response.has_body());
    let body = body_of(&mut response)?;
    if let (Some(length), true) = (length, has_body) {
        assert_eq!(length, body.len() as u64, "the body is as long as was said");
    }
    assert!(body.len() <= input.len(), "nothing is made up");
    Ok((response.status(), body))
}

fn by_pieces(response: &mut Response<Script>) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        let piece = response.next_piece()?;
        assert!(piece.is_last || !piece.bytes.is_empty(), "only the last piece is empty");
        body.extend_from_slice(piece.bytes);
        if piece.is_last {
            return Ok(body);
        }
    }
}

fn into_rooms(response: &mut Response<Script>, bytes: usize) -> Result<Vec<u8>, Error> {
    let (mut body, mut room) = (Vec::new(), vec![0; bytes.clamp(1, 1 << 16)]);
    loop {
        let taken = response.read_into(&mut room)?;
        assert!(taken.is_last || taken.bytes > 0, "only at the end there is nothing");
        body.extend_from_slice(&room[..taken.bytes]);
        if taken.is_last {
            return Ok(body);
        }
    }
}

/// The first byte chooses how the rest arrives, and what was asked for.
pub fn entry(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let method: &[u8] = if first & 1 == 0 { b"GET" } else { b"HEAD" };
    let in_pieces = answer(rest, usize::from(first >> 1), method);
    assert_eq!(in_pieces, answer(rest, usize::MAX, method), "how an answer arrives changes nothing");
}
