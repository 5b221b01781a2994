//! The chunked body of a client's request, in place of Varnish's own reader: that one refuses trailers and extensions, which
//! are allowed, and takes line ends that are not.
//!
//! Varnish has a stack of fetch processors for a request's body, too, whoever reads it: a pass, `std.cache_req_body`, or
//! nobody, when the rest of it is read past. Its own reader stands at the bottom from the beginning; ours takes its place
//! in vcl_recv, before anybody has read.
//!
//! Trailers are read past and dropped, as RFC 9112, 7.1.2 lets who does not know what they mean.

use std::{
    ffi::{CStr, c_int, c_void},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
};

use ghost_upstream::Decoder;
use varnish::ffi::{self, VfpStatus, vfp_ctx, vfp_entry, vrt_ctx};

use crate::context::Context;

/// How much of a frame is looked at in one go.
const FRAME_BYTES: usize = 512;

struct Processor(ffi::vfp);

// SAFETY: nobody writes to it; the pointers in it are to statics.
unsafe impl Sync for Processor {}

static PROCESSOR: Processor = Processor(ffi::vfp {
    name: c"ghost_chunks".as_ptr(),
    init: Some(init),
    pull: Some(pull),
    fini: Some(fini),
    priv1: ptr::null(),
});

/// A chunked body of the request will be read by us. Nothing happens the second time.
pub fn take_over(context: Context) {
    // SAFETY: the context is live; Varnish set up the processors of a request whose body is chunked, and keeps them until
    // the request is over.
    unsafe {
        let Some(request) = (*context.raw()).req.as_ref() else { return };
        if !ptr::eq(request.req_body_status, (&raw const ffi::BS_CHUNKED).cast()) {
            return;
        }
        let bottom = request.vfc.as_ref().and_then(|processors| processors.vfp.vtqh_first.as_mut());
        if let Some(entry) = bottom.filter(|entry| CStr::from_ptr((*entry.vfp).name) == c"V1F_CHUNKED") {
            entry.vfp = &raw const PROCESSOR.0;
        }
    }
}

unsafe extern "C" fn init(_: *const vrt_ctx, _: *mut vfp_ctx, entry: *mut vfp_entry) -> VfpStatus {
    let decoder = Box::into_raw(Box::new(Decoder::strict()));
    // SAFETY: Varnish calls us with an entry that `take_over` made ours, once before it is read.
    unsafe { (*entry).priv2 = decoder.expose_provenance().cast_signed() };
    VfpStatus::Ok
}

unsafe extern "C" fn fini(_: *mut vfp_ctx, entry: *mut vfp_entry) {
    // SAFETY: as above, once after it was read; `init` made the box, unless it was never called.
    unsafe {
        let decoder = decoder(entry);
        (*entry).priv2 = 0;
        if !decoder.is_null() {
            drop(Box::from_raw(decoder));
        }
    }
}

/// # Safety
/// The entry is one of ours that was opened.
unsafe fn decoder(entry: *const vfp_entry) -> *mut Decoder {
    // SAFETY: as demanded.
    ptr::with_exposed_provenance_mut(unsafe { (*entry).priv2 }.cast_unsigned())
}

unsafe extern "C" fn pull(
    fetch: *mut vfp_ctx,
    entry: *mut vfp_entry,
    room: *mut c_void,
    length: *mut isize,
) -> VfpStatus {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Varnish calls us between `init` and `fini`, with a room of so many bytes that is ours meanwhile; priv1 is
        // the connection that it gave its own reader.
        let (decoder, connection, room) = unsafe {
            let bytes = usize::try_from(*length).unwrap_or(0);
            *length = 0;
            let connection = (*entry).priv1.cast::<ffi::http_conn>();
            (decoder(entry).as_mut(), connection.as_mut(), slice::from_raw_parts_mut(room.cast::<u8>(), bytes))
        };
        let (Some(decoder), Some(connection)) = (decoder, connection) else {
            return Err("it is not there".to_owned());
        };
        Body { connection, decoder }.read(room)
    }));
    match outcome {
        Ok(Ok((bytes, is_last))) => {
            // SAFETY: as above; no more bytes than there was room for.
            unsafe { *length = isize::try_from(bytes).unwrap_or(0) };
            if is_last { VfpStatus::End } else { VfpStatus::Ok }
        }
        Ok(Err(error)) => fail(fetch, &error),
        Err(_) => fail(fetch, "a bug: panicked"),
    }
}

fn fail(fetch: *mut vfp_ctx, text: &str) -> VfpStatus {
    let bytes = c_int::try_from(text.len()).unwrap_or(0);
    // SAFETY: the body is being read, and the log copies the text.
    unsafe { ffi::VFP_Error(fetch, c"ghost: the client's body: %.*s".as_ptr(), bytes, text.as_ptr()) }
}

struct Body<'a> {
    connection: &'a mut ffi::http_conn,
    decoder: &'a mut Decoder,
}

/// Where bytes were looked at, and so how they are used up.
#[derive(Clone, Copy)]
enum Source {
    /// Varnish read them with the head.
    Ahead,
    /// They are still in the socket.
    Peeked,
    /// They are data, and were taken.
    Taken,
}

impl Body<'_> {
    /// Some data into the room, and whether they are the last.
    fn read(&mut self, room: &mut [u8]) -> Result<(usize, bool), String> {
        loop {
            let (read, source) = self.look(room).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("it ended early".to_owned());
            }
            let decoded = self.decoder.decode(&mut room[..read]).map_err(|_| "malformed chunks".to_owned())?;
            self.use_up(decoded.consumed, source).map_err(|error| error.to_string())?;
            let bytes = decoded.data.len();
            room.copy_within(decoded.data, 0);
            if bytes > 0 || decoded.is_done {
                return Ok((bytes, decoded.is_done));
            }
        }
    }

    /// What comes next. Of a frame only a look is taken: what follows the body is the next request, and stays.
    fn look(&self, room: &mut [u8]) -> io::Result<(usize, Source)> {
        let ahead = self.pipeline();
        if !ahead.is_empty() {
            let bytes = ahead.len().min(room.len());
            room[..bytes].copy_from_slice(&ahead[..bytes]);
            return Ok((bytes, Source::Ahead));
        }
        let data = usize::try_from(self.decoder.data_ahead()).unwrap_or(usize::MAX);
        let (wanted, flags, source) =
            if data > 0 { (data, 0, Source::Taken) } else { (FRAME_BYTES, libc::MSG_PEEK, Source::Peeked) };
        let bytes = wanted.min(room.len());
        Ok((receive(self.socket(), &mut room[..bytes], flags)?, source))
    }

    fn use_up(&mut self, mut bytes: usize, source: Source) -> io::Result<()> {
        match source {
            Source::Ahead => self.advance(bytes),
            Source::Peeked => {
                while bytes > 0 {
                    bytes -= receive(self.socket(), &mut [0; FRAME_BYTES][..bytes], 0)?;
                }
            }
            Source::Taken => {}
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        let connection = &mut *self.connection;
        // SAFETY: there are no fewer between the two.
        unsafe { connection.pipeline_b = connection.pipeline_b.add(bytes) };
        if ptr::eq(connection.pipeline_b, connection.pipeline_e) {
            (connection.pipeline_b, connection.pipeline_e) = (ptr::null_mut(), ptr::null_mut());
        }
    }

    fn pipeline(&self) -> &[u8] {
        let ffi::http_conn { pipeline_b: start, pipeline_e: end, .. } = *self.connection;
        if start.is_null() {
            return &[];
        }
        // SAFETY: Varnish keeps what it read ahead from the one to the other.
        unsafe { slice::from_raw_parts(start.cast(), usize::try_from(end.offset_from(start)).unwrap_or(0)) }
    }

    fn socket(&self) -> c_int {
        // SAFETY: it is the one of the request's session, which is open as long as somebody reads.
        unsafe { *self.connection.rfd }
    }
}

fn receive(socket: c_int, room: &mut [u8], flags: c_int) -> io::Result<usize> {
    // SAFETY: the room is ours.
    let read = unsafe { libc::recv(socket, room.as_mut_ptr().cast(), room.len(), flags) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}
