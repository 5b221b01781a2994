//! Exchanges with backends that behave: bodies both ways, connections that are used again.

mod support;

use std::{
    io::{BufReader, IoSlice, Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use ghost_upstream::{Error, Framing, RequestHead, Stage, Taken, Tcp, Transport, Wait, Watch};
use support::{PATIENT, Pieces, QUICK, backend, body_of, get, read_exactly, read_head, request, says, upstreams};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_connection_serves_again_over_ipv4_and_ipv6() {
    for address in ["127.0.0.1", "::1"] {
        let (address, seen) = backend(address, says(OK, false));
        let upstreams = upstreams();
        for _ in 0..5 {
            assert_eq!(get(&upstreams.get(&address)), Ok(b"ok".to_vec()));
        }
        assert_eq!(seen.load(Ordering::SeqCst), 1);
        assert_eq!(upstreams.counters().reused.get(), 4);
    }
}

#[test]
fn what_the_backend_says_about_the_answer_is_told() {
    let (address, _) = backend(
        "127.0.0.1",
        says(b"HTTP/1.1 404 Nothing here\r\nA: b\r\nConnection: keep-alive\r\nETag: \"x\"\r\nContent-Length: 2\r\n\r\nno", false),
    );
    let upstreams = upstreams();
    let mut response = upstreams.get(&address).exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
    assert_eq!((response.status(), response.reason(), response.content_length()), (404, &b"Nothing here"[..], Some(2)));
    assert_eq!(response.fields().collect::<Vec<_>>(), [(&b"A: b"[..], 1), (b"ETag: \"x\"", 4)]);
    assert_eq!(body_of(&mut response), Ok(b"no".to_vec()));
}

#[test]
fn bodies_of_every_kind() {
    for (answer, method, body, reuses) in [
        (&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nSum: 1\r\n\r\n"[..], "GET", "hello", true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", "", true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", "", true),
        (b"HTTP/1.1 204 None\r\n\r\n", "GET", "", true),
        (b"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n", "GET", "", true),
        (b"HTTP/1.1 204 None\r\nContent-Length: 2\r\n\r\n", "GET", "", false),
        (b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", "", false),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", "GET", "", true),
        (b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hint\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", true),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", false),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", "ok", false),
    ] {
        let (address, seen) = backend("127.0.0.1", says(answer, false));
        let upstreams = upstreams();
        for _ in 0..2 {
            let mut response =
                upstreams.get(&address).exchange(&request(method, Framing::Nothing), None, PATIENT).unwrap();
            assert_eq!(body_of(&mut response), Ok(body.as_bytes().to_vec()));
        }
        assert_eq!(seen.load(Ordering::SeqCst) == 1, reuses, "{}", String::from_utf8_lossy(answer));
    }
    let (address, _) = backend("127.0.0.1", says(b"HTTP/1.1 200 OK\r\n\r\nto the end", true));
    assert_eq!(get(&upstreams().get(&address)), Ok(b"to the end".to_vec()));
}

#[test]
fn a_request_that_says_close_is_the_last_of_its_connection() {
    for answer in
        [&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
    {
        let (address, seen) = backend("127.0.0.1", says(answer, false));
        let upstreams = upstreams();
        for _ in 0..2 {
            let mut head = RequestHead::default();
            head.begin(b"GET", b"/");
            head.line(b"connection: x, Close");
            head.end(Framing::Nothing);
            let mut response = upstreams.get(&address).exchange(&head, None, PATIENT).unwrap();
            body_of(&mut response).unwrap();
        }
        assert_eq!(seen.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn uploads_with_a_length_and_chunked() {
    let (address, seen) = backend("127.0.0.1", |socket, _| {
        let mut socket = BufReader::new(socket);
        while let Some(head) = read_head(&mut socket) {
            let expected: &[u8] =
                if head.contains("chunked") { b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" } else { b"hello world" };
            assert_eq!(read_exactly(&mut socket, expected.len()), expected);
            socket.get_mut().write_all(OK).unwrap();
        }
    });
    let upstreams = upstreams();
    for framing in [Framing::Length(11), Framing::Chunked, Framing::Length(11)] {
        let mut upload = Pieces::new([&b"hello"[..], b"", b" world"]);
        let mut response =
            upstreams.get(&address).exchange(&request("POST", framing), Some(&mut upload), PATIENT).unwrap();
        assert_eq!(body_of(&mut response), Ok(b"ok".to_vec()));
    }
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

/// What happened to an exchange.
#[derive(Default)]
struct Seen(Vec<String>);

impl Watch<Tcp> for Seen {
    fn connected(&mut self, transport: &Tcp, is_reused: bool) {
        assert!(transport.local_end().starts_with("127.0.0.1 "));
        self.0.push(format!("connected, reused: {is_reused}"));
    }

    fn sent(&mut self, head_bytes: usize, body_bytes: u64) {
        self.0.push(format!("sent {head_bytes}, {body_bytes}"));
    }

    fn interim(&mut self, status: u16, fields: &mut dyn Iterator<Item = &[u8]>) {
        let fields: Vec<_> = fields.map(String::from_utf8_lossy).collect();
        self.0.push(format!("interim {status}, {}", fields.join(", ")));
    }

    fn failed(&mut self, error: Error) {
        self.0.push(format!("failed: {error}"));
    }
}

#[test]
fn who_watches_is_told_interim_answers_but_for_100() {
    let answer =
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\
                   Connection: X-Hop\r\nX-Hop: 1\r\nLink: b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let (address, _) = backend("127.0.0.1", says(answer, false));
    let mut seen = Seen::default();
    let get = request("GET", Framing::Nothing);
    let response = upstreams().get(&address).exchange_watched(&get, None, PATIENT, &mut seen).unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(seen.0[2..], ["interim 102, ", "interim 103, Link: a, Link: b"]);
}

#[test]
fn a_look_at_the_body_leaves_the_head() {
    let (address, _) = backend("127.0.0.1", |socket, number| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        socket.get_mut().write_all(b"HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 2\r\n\r\n").unwrap();
        if number == 0 {
            socket.get_mut().write_all(b"ok").unwrap();
        }
    });
    let upstreams = upstreams();
    for number in 0..2 {
        let mut response = upstreams.get(&address).exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
        let mut outcome = Ok(false);
        while outcome == Ok(false) {
            outcome = response.is_ready();
        }
        assert_eq!(outcome, if number == 0 { Ok(true) } else { Err(Error::Closed) });
        assert_eq!(response.reason(), b"Fine");
        assert_eq!(response.fields().map(|(line, _)| line).collect::<Vec<_>>(), [b"A: b"]);
        assert_eq!(body_of(&mut response), if number == 0 { Ok(b"ok".to_vec()) } else { Err(Error::Closed) });
    }
}

#[test]
fn who_watches_sees_each_attempt() {
    let (address, _) = backend("127.0.0.1", |socket, number| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        if number == 0 {
            socket.get_mut().write_all(OK).unwrap();
            // The second request is read, and never answered.
            read_head(&mut socket);
        }
    });
    let upstreams = upstreams();
    let (get, mut seen) = (request("GET", Framing::Nothing), Seen::default());
    let mut response = upstreams.get(&address).exchange_watched(&get, None, PATIENT, &mut seen).unwrap();
    assert_eq!(response.head_bytes(), OK.len() - 2);
    let mut room = [0; 9];
    assert_eq!(response.read_into(&mut room), Ok(Taken { bytes: 2, is_last: true }));
    assert!(response.is_released());
    let outcome = upstreams.get(&address).exchange_watched(&get, None, PATIENT, &mut seen);
    assert_eq!(outcome.err(), Some(Error::Unanswered));
    let sent = format!("sent {}, 0", get.bytes().len());
    let failed = format!("failed: {}", Error::Unanswered);
    let first = ["connected, reused: false", &sent];
    let stale = ["connected, reused: true", &sent, &failed];
    let again = ["connected, reused: false", &sent, &failed];
    assert_eq!(seen.0, [&first[..], &stale, &again].concat());
}

#[test]
fn a_connection_that_shall_not_serve_again_does_not() {
    let (address, connections) = backend("127.0.0.1", says(OK, false));
    let upstreams = upstreams();
    for _ in 0..2 {
        let mut response = upstreams.get(&address).exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
        response.close_after();
        assert_eq!(body_of(&mut response), Ok(b"ok".to_vec()));
        assert!(!response.is_released());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[test]
fn a_large_body_comes_whole_through_one_buffer() {
    const BYTES: usize = 32 << 20;
    let (address, _) = backend("127.0.0.1", |socket, _| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        let piece: Vec<u8> = (0..=255).collect();
        socket.get_mut().write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n").as_bytes()).unwrap();
        for _ in 0..BYTES / piece.len() {
            socket.get_mut().write_all(&piece).unwrap();
        }
    });
    let upstreams = upstreams();
    let mut response = upstreams.get(&address).exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
    let mut read = 0;
    loop {
        let piece = response.next_piece().unwrap();
        assert!(piece.bytes.len() <= 128 << 10);
        assert!(piece.bytes.iter().enumerate().all(|(place, byte)| usize::from(*byte) == (read + place) % 256));
        read += piece.bytes.len();
        if piece.is_last {
            break;
        }
    }
    assert_eq!(read, BYTES);
}

#[test]
fn a_backend_that_answers_early_is_heard() {
    let (address, _) = backend("127.0.0.1", |socket, _| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        socket
            .get_mut()
            .write_all(b"HTTP/1.1 103 Wait\r\n\r\nHTTP/1.1 413 Large\r\nContent-Length: 5\r\n\r\nlarge")
            .unwrap();
        // It reads nothing, and stays.
        _ = socket.get_ref().shutdown(Shutdown::Write);
        std::thread::park();
    });
    let upstreams = upstreams();
    let piece = vec![0; 1 << 20];
    let mut upload = Pieces::new((0..64).map(|_| &piece[..]));
    let mut response = upstreams
        .get(&address)
        .exchange(&request("POST", Framing::Length(64 << 20)), Some(&mut upload), PATIENT)
        .unwrap();
    assert!(response.is_upload_cut());
    assert!(upload.taken < 64);
    assert_eq!((response.status(), body_of(&mut response)), (413, Ok(b"large".to_vec())));
    assert_eq!(upstreams.counters().opened.get(), upstreams.counters().closed.get());
}

#[test]
fn a_body_that_is_late_is_not_waited_for_before_its_time() {
    let (address, _) = backend("127.0.0.1", |socket, number| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").unwrap();
        if number == 0 {
            socket.get_mut().read_exact(&mut [0]).unwrap_err();
        } else {
            socket.get_mut().write_all(b"ok").unwrap();
        }
    });
    let upstreams = upstreams();
    let mut response = upstreams.get(&address).exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
    assert_eq!((response.is_ready(), response.is_whole()), (Ok(false), false));
    drop(response);
    let mut response = upstreams.get(&address).exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
    assert_eq!(body_of(&mut response), Ok(b"ok".to_vec()));
    assert_eq!(response.is_ready(), Ok(true));
}

#[test]
fn deadlines_are_kept() {
    let (address, _) = backend("127.0.0.1", |socket, number| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        let drip = |socket: &mut BufReader<TcpStream>, text: &[u8]| {
            for byte in text {
                if socket.get_mut().write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        match number {
            0 => {}
            1 => drip(&mut socket, &b"HTTP/1.1 200 OK\r\n".repeat(100)),
            2 => socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").unwrap(),
            _ => {
                socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").unwrap();
                drip(&mut socket, &[b'x'; 1000]);
            }
        }
        _ = socket.read(&mut [0]);
    });
    let upstreams = upstreams();
    let mut total = QUICK;
    total.total = Some(Duration::from_millis(400));
    for (stage, deadlines) in
        [(Stage::FirstByte, QUICK), (Stage::FirstByte, QUICK), (Stage::BetweenBytes, QUICK), (Stage::Total, total)]
    {
        let start = Instant::now();
        let outcome = upstreams
            .get(&address)
            .exchange(&request("GET", Framing::Nothing), None, deadlines)
            .and_then(|mut response| body_of(&mut response));
        assert_eq!(outcome, Err(Error::Timeout(stage)));
        assert!(start.elapsed() < Duration::from_secs(5), "{stage:?} took {:?}", start.elapsed());
    }
    assert_eq!(upstreams.counters().timed_out.get(), 4);
    assert_eq!(upstreams.counters().opened.get(), upstreams.counters().closed.get());
}

#[test]
fn idle_connections_are_reaped_and_those_of_gone_addresses_closed() {
    let (address, _) = backend("127.0.0.1", says(OK, false));
    let upstreams = upstreams();
    get(&upstreams.get(&address)).unwrap();
    upstreams.reap(Instant::now());
    assert_eq!(upstreams.counters().closed.get(), 0);
    upstreams.reap(Instant::now() + Duration::from_secs(31));
    assert_eq!((upstreams.counters().closed.get(), upstreams.counters().reaped.get()), (1, 1));

    let upstream = upstreams.get(&address);
    let mut under_way = upstream.exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
    upstreams.retain(|_| false);
    assert_eq!(body_of(&mut under_way), Ok(b"ok".to_vec()));
    assert_eq!(upstreams.counters().closed.get(), 2);
}

fn handshake() -> RequestHead {
    let mut head = RequestHead::default();
    head.begin(b"GET", b"/x");
    head.upgrade();
    head.end(Framing::Nothing);
    head
}

#[test]
fn an_upgraded_connection_is_handed_out_with_what_came_after_the_head() {
    let (address, connections) = backend("127.0.0.1", |socket, _| {
        let mut socket = BufReader::new(socket);
        let head = read_head(&mut socket).unwrap();
        assert!(head.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"), "{head}");
        let answer = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\nX-A: b\r\n\r\nearly";
        socket.get_mut().write_all(answer).unwrap();
        assert_eq!(read_exactly(&mut socket, 4), b"ping");
    });
    let upstreams = upstreams();
    let response = upstreams.get(&address).exchange(&handshake(), None, PATIENT).unwrap();
    assert!(response.is_upgraded() && !response.has_body() && !response.is_released());
    assert_eq!(response.fields().map(|(line, _)| line).collect::<Vec<_>>(), [b"X-A: b"]);
    let mut upgraded = response.into_upgraded().unwrap();
    assert_eq!(upgraded.unread(), b"early");
    Transport::write(upgraded.transport(), &[IoSlice::new(b"ping")], PATIENT.between_bytes).unwrap();
    assert_eq!(Transport::read(upgraded.transport(), &mut [0; 9], Wait::For(PATIENT.first_byte, None)).unwrap(), 0);
    drop(upgraded);
    // It was nobody else's.
    assert_eq!((upstreams.counters().closed.get(), connections.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn a_declined_upgrade_is_an_ordinary_answer() {
    let (address, connections) = backend("127.0.0.1", says(OK, false));
    let upstreams = upstreams();
    for _ in 0..2 {
        let mut response = upstreams.get(&address).exchange(&handshake(), None, PATIENT).unwrap();
        assert!(!response.is_upgraded());
        assert_eq!(body_of(&mut response), Ok(b"ok".to_vec()));
        assert!(response.into_upgraded().is_none());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
