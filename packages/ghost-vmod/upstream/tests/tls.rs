//! TLS fits behind `Transport`: an exchange over rustls, which the client itself does not know.

use std::{
    io::{self, BufRead, BufReader, IoSlice, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use ghost_upstream::{
    Connect, Deadlines, Error, Framing, PoolLimits, RequestHead, Tcp, TcpConnect, Transport, Upstreams, Wait, Written,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};

struct Tls {
    session: ClientConnection,
    tcp: Tcp,
}

/// The transport as rustls wants it.
struct Socket<'a> {
    tcp: &'a mut Tcp,
    wait: Wait<'a>,
    patience: Duration,
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.read(buffer, self.wait)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.tcp.write(&[IoSlice::new(bytes)], self.patience)? {
            Written::Bytes(written) => Ok(written),
            Written::PeerSpeaks => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Tls {
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            let mut socket = Socket { tcp: &mut self.tcp, wait, patience: Duration::ZERO };
            self.session.read_tls(&mut socket)?;
            self.session.process_new_packets().map_err(io::Error::other)?;
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>], patience: Duration) -> io::Result<Written> {
        let taken = self.session.writer().write_vectored(parts)?;
        let mut socket = Socket { tcp: &mut self.tcp, wait: Wait::Not, patience };
        while self.session.wants_write() {
            self.session.write_tls(&mut socket)?;
        }
        Ok(Written::Bytes(taken))
    }

    fn is_quiet(&mut self) -> bool {
        self.tcp.is_quiet()
    }
}

struct TlsConnect(Arc<ClientConfig>);

impl Connect for TlsConnect {
    type Transport = Tls;

    type Destination = SocketAddr;

    fn connect(&self, address: &SocketAddr, patience: Duration) -> io::Result<Tls> {
        let name = ServerName::try_from("a.test").map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        let mut tls = Tls { session, tcp: TcpConnect.connect(address, patience)? };
        let mut socket = Socket { tcp: &mut tls.tcp, wait: Wait::For(patience, None), patience };
        while tls.session.is_handshaking() {
            tls.session.complete_io(&mut socket)?;
        }
        Ok(tls)
    }
}

/// Two answers on one connection, the second cut off without a goodbye.
fn serve(listener: &TcpListener, config: &Arc<ServerConfig>) {
    let socket = listener.accept().unwrap().0;
    let session = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut tls = BufReader::new(StreamOwned::new(session, socket));
    for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret", "HTTP/1.1 200 OK\r\n\r\nhalf a sec"] {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            tls.read_line(&mut line).unwrap();
        }
        tls.get_mut().write_all(answer.as_bytes()).unwrap();
        tls.get_mut().flush().unwrap();
    }
    drop::<TcpStream>(tls.into_inner().sock);
}

#[test]
fn tls_fits_behind_the_transport() {
    let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    let provider = || Arc::new(default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let backend = thread::spawn(move || serve(&listener, &Arc::new(server)));
    let upstreams = Upstreams::new(TlsConnect(Arc::new(client)), PoolLimits::default());
    let mut request = RequestHead::default();
    request.begin(b"GET", b"/");
    request.line(b"Host: a.test");
    request.end(Framing::Nothing);
    let upstream = upstreams.get(&address);
    let mut response = upstream.exchange(&request, None, Deadlines::default()).unwrap();
    let piece = response.next_piece().unwrap();
    assert_eq!((piece.bytes, piece.is_last), (&b"secret"[..], true));

    // A TCP end without TLS's own may be anybody's: the body that ends with it is broken.
    let mut response = upstream.exchange(&request, None, Deadlines::default()).unwrap();
    assert_eq!(response.next_piece().unwrap().bytes, b"half a sec");
    assert_eq!(response.next_piece(), Err(Error::Closed));
    backend.join().unwrap();
    assert_eq!((upstreams.counters().opened.get(), upstreams.counters().reused.get()), (1, 1));
}
