//! What the fuzz target and its stable stand-in feed: bytes that a backend might send.

use crate::{
    Deadlines, Error, Framing, PoolLimits, RequestHead, Upstreams,
    scripted::{Line, Script, Scripted},
};

/// Reads the bytes as an answer that arrives in pieces of so many bytes. Returns its status and its body.
pub fn answer(input: &[u8], piece: usize, method: &[u8]) -> Result<(u16, Vec<u8>), Error> {
    let lines = input.chunks(piece.max(1)).map(|bytes| Line::Says(bytes.to_vec()));
    let upstreams = Upstreams::new(Script::new([Scripted::new(lines)]), PoolLimits::default());
    let mut request = RequestHead::default();
    request.begin(method, b"/");
    request.end(Framing::Nothing);
    let upstream = upstreams.get(([127, 0, 0, 1], 80).into());
    let mut response = upstream.exchange(&request, None, Deadlines::default())?;
    let fields = response.fields().map(|(line, _)| line.len()).sum::<usize>();
    assert!(fields + response.reason().len() <= input.len(), "texts of the answer are in its bytes");
    let (length, has_body) = (response.content_length(), response.has_body());
    let mut body = Vec::new();
    loop {
        let piece = response.next_piece()?;
        assert!(piece.is_last || !piece.bytes.is_empty(), "only the last piece is empty");
        body.extend_from_slice(piece.bytes);
        if piece.is_last {
            break;
        }
    }
    if let (Some(length), true) = (length, has_body) {
        assert_eq!(length, body.len() as u64, "the body is as long as was said");
    }
    assert!(body.len() <= input.len(), "nothing is made up");
    Ok((response.status(), body))
}

/// The first byte chooses how the rest arrives, and what was asked for.
pub fn entry(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let method: &[u8] = if first & 1 == 0 { b"GET" } else { b"HEAD" };
    let in_pieces = answer(rest, usize::from(first >> 1), method);
    assert_eq!(in_pieces, answer(rest, usize::MAX, method), "how an answer arrives changes nothing");
}
