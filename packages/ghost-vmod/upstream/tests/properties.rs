//! Answers that are made up: what is well-formed is read as it was meant, and how it arrives changes nothing.

use ghost_upstream::{Error, fuzzing};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Coding {
    Length,
    Chunked { sizes: Vec<usize>, extension: String, trailers: Vec<String> },
    Closed,
}

fn coding() -> impl Strategy<Value = Coding> {
    let extension = "(;[a-z]{1,5}(=[!-~&&[^\"]]{0,5})?)?";
    let trailers = prop::collection::vec("[A-Za-z-]{1,10}: ?[ -~]{0,20}", 0..3);
    let sizes = prop::collection::vec(1_usize..70, 1..10);
    let chunked = (sizes, extension, trailers).prop_map(|(sizes, extension, trailers)| Coding::Chunked {
        sizes,
        extension,
        trailers,
    });
    prop_oneof![Just(Coding::Length), chunked, Just(Coding::Closed)]
}

fn written(coding: &Coding, fields: &[String], body: &[u8]) -> Vec<u8> {
    let mut text = b"HTTP/1.1 200 OK\r\n".to_vec();
    for field in fields {
        text.extend_from_slice(format!("X-{field}\r\n").as_bytes());
    }
    match coding {
        Coding::Length => {
            text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            text.extend_from_slice(body);
        }
        Coding::Closed => {
            text.extend_from_slice(b"\r\n");
            text.extend_from_slice(body);
        }
        Coding::Chunked { sizes, extension, trailers } => {
            text.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            let (mut rest, mut sizes) = (body, sizes.iter().cycle());
            while !rest.is_empty() {
                let size = *sizes.next().unwrap();
                let (chunk, after) = rest.split_at(size.min(rest.len()));
                text.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
                rest = after;
            }
            text.extend_from_slice(b"0\r\n");
            for trailer in trailers {
                text.extend_from_slice(format!("{trailer}\r\n").as_bytes());
            }
            text.extend_from_slice(b"\r\n");
        }
    }
    text
}

proptest! {
    #[test]
    fn what_was_sent_is_what_is_read(
        coding in coding(),
        fields in prop::collection::vec("[A-Za-z0-9]{1,10}: ?[!-~][ -~]{0,30}", 0..8),
        body in prop::collection::vec(any::<u8>(), 0..600),
        piece in 1_usize..900,
    ) {
        let text = written(&coding, &fields, &body);
        prop_assert_eq!(fuzzing::answer(&text, piece, b"GET"), Ok((200, body)));
    }

    #[test]
    fn an_answer_that_ends_early_is_no_answer(
        coding in coding(),
        body in prop::collection::vec(any::<u8>(), 1..200),
        cut in any::<prop::sample::Index>(),
        piece in 1_usize..300,
    ) {
        let text = written(&coding, &[], &body);
        let head = text.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let length = cut.index(text.len());
        let outcome = fuzzing::answer(&text[..length], piece, b"GET");
        match coding {
            // Its end is the connection's, so that nobody can tell.
            Coding::Closed if length >= head => prop_assert!(outcome.is_ok()),
            _ => prop_assert_eq!(outcome, Err(if length == 0 { Error::Unanswered } else { Error::Closed })),
        }
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_arrive(
        beginning in "(HTTP/1\\.[01] [12345][0-9]{2}( [a-zA-Z ]{0,5})?\r\n)?",
        fields in prop::collection::vec(prop_oneof![
            Just("Content-Length: 5\r\n".to_owned()),
            Just("Transfer-Encoding: chunked\r\n".to_owned()),
            Just("Connection: close\r\n".to_owned()),
            "[a-zA-Z-]{0,5}:[ -~]{0,5}\r?\n",
        ], 0..4),
        rest in prop::collection::vec(prop_oneof![
            Just(b"\r\n".to_vec()), Just(b"5\r\n".to_vec()), Just(b"hello".to_vec()), Just(b"0\r\n\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..5),
        ], 0..8),
        first in any::<u8>(),
    ) {
        fuzzing::entry(&[&[first], beginning.as_bytes(), fields.concat().as_bytes(), &rest.concat()].concat());
    }
}

/// A stand-in for the fuzzer: answers, and each of their bytes changed in a few ways.
#[test]
fn mutations_do_not_crash() {
    for answer in [
        &b"\x06HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: a, close\r\n\r\nhello"[..],
        b"\x04HTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
        b"\x03HTTP/1.0 304 \r\nETag: \"a\"\r\nKeep-Alive: timeout=5\r\n\r\n",
    ] {
        for place in 0..answer.len() {
            for byte in [0, b'\r', b'\n', b':', b'9', 0xff, answer[place].wrapping_add(1)] {
                let mut mutated = answer.to_vec();
                mutated[place] = byte;
                fuzzing::entry(&mutated);
            }
            fuzzing::entry(&answer[..place]);
        }
    }
}
