//! A request or an answer of Varnish's, read and changed in place.

use std::{
    ffi::{CStr, c_char},
    marker::PhantomData,
    slice,
};

use ghost_core::{
    filter::{EditFields, EditRequest, Field},
    forwarded::EditForwarded,
    header_name::{HeaderName, fits},
    request::Fields,
};
use varnish::ffi;

use crate::{varnish_abi::HDF_FILTER, workspace};

/// Neither whose gateway this is nor what it is made of.
const VIA: &CStr = c"Via: 1.1 varnish-gateway";

/// An answer whose fields are larger has no place in a workspace.
const LARGE_BYTES: usize = 8 << 10;

/// Texts that are read live as long as the task, since its workspace is only ever added to.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    http: *mut ffi::http,
    task: PhantomData<&'a ()>,
}

impl<'a> Message<'a> {
    /// # Safety
    /// `http` is null, or a message of a task that outlives `'a`.
    pub unsafe fn new(http: ffi::VCL_HTTP) -> Option<Self> {
        (!http.0.is_null()).then_some(Self { http: http.0, task: PhantomData })
    }

    fn lines(self) -> &'a [ffi::txt] {
        // SAFETY: Varnish keeps `nhd` lines at `hd`.
        unsafe { slice::from_raw_parts((*self.http).hd, usize::from((*self.http).nhd)) }
    }

    fn line(self, place: u32) -> &'a [u8] {
        self.lines().get(place as usize).map_or(&[], text)
    }

    pub fn method(self) -> &'a [u8] {
        self.line(ffi::HTTP_HDR_METHOD)
    }

    pub fn url(self) -> &'a [u8] {
        self.line(ffi::HTTP_HDR_URL)
    }

    /// As it stands in the first line.
    pub fn protocol(self) -> &'a [u8] {
        self.line(ffi::HTTP_HDR_PROTO)
    }

    pub fn is_http_1_1(self) -> bool {
        // SAFETY: `http` is a message.
        unsafe { (*self.http).protover == 11 }
    }

    pub fn status(self) -> u16 {
        // SAFETY: `http` is a message.
        unsafe { (*self.http).status }
    }

    /// The reason phrase of an answer.
    pub fn reason(self) -> &'a [u8] {
        self.line(ffi::HTTP_HDR_REASON)
    }

    /// No fewer than there are fields.
    pub fn count(self) -> usize {
        self.lines().len()
    }

    /// The header fields, each `Name: value`.
    pub fn fields(self) -> impl Iterator<Item = &'a [u8]> {
        self.lines().iter().skip(ffi::HTTP_HDR_FIRST as usize).map(text)
    }

    /// Those that are not between two neighbours only.
    pub fn passed_fields(self) -> impl Iterator<Item = &'a [u8]> {
        let places = (0..).zip(self.lines()).skip(ffi::HTTP_HDR_FIRST as usize);
        // SAFETY: `http` is a message, and has a line at that place.
        let is_passed = move |place| unsafe { ffi::http_IsFiltered(self.http, place, ffi::HTTPH_R_PASS) == 0 };
        places.filter(move |(place, _)| is_passed(*place)).map(|(_, line)| text(line))
    }

    pub fn value(self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields().find_map(|field| value_of(field, name))
    }

    /// Whether a field's name is longer than Varnish can look for: nobody could remove such a field.
    pub fn has_overlong_name(self) -> bool {
        self.fields().any(|field| !fits(field) && !fits(name_of(field)))
    }

    /// Whether Vary names a field that Varnish could not look for: it tries all the same.
    pub fn varies_beyond_names(self) -> bool {
        let is_separator = |byte: &u8| *byte == b',' || byte.is_ascii_whitespace();
        self.values(b"vary").any(|value| !fits(value) && value.split(is_separator).any(|name| !fits(name)))
    }

    /// The values of all fields of that name.
    pub fn values(self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.fields().filter_map(move |field| value_of(field, name))
    }

    /// The target; nothing happens when the workspace is full, which Varnish answers with 503.
    pub fn set_url(self, url: &[u8]) {
        if let Some(copy) = self.copy(&[url]) {
            // SAFETY: `copy` ends with a zero byte and lives in the message's workspace.
            unsafe { ffi::http_SetH(self.http, ffi::HTTP_HDR_URL, copy) }
        }
    }

    /// A field from its name and value.
    pub fn set(mut self, name: &str, value: &[u8]) {
        self.remove(name.as_bytes());
        self.append(name, value);
    }

    /// No field of that name.
    pub fn unset(mut self, name: &[u8]) {
        self.remove(name);
    }

    /// One more field from its name and value.
    pub fn append(self, name: &str, value: &[u8]) {
        self.append_parts(&[name.as_bytes(), b": ", value]);
    }

    fn append_parts(self, parts: &[&[u8]]) {
        if let Some(copy) = self.copy(parts) {
            // SAFETY: `copy` ends with a zero byte and lives in the message's workspace.
            unsafe { ffi::http_SetHeader(self.http, copy) }
        }
    }

    /// A field as it stands in a message.
    pub fn append_line(self, line: &[u8]) {
        self.append_parts(&[line]);
    }

    /// Fields as they stand in a message, copied into one piece of the workspace; large ones into `kept`, or each task
    /// would need a workspace for the largest.
    ///
    /// # Safety
    /// What is in `kept` stays there as long as the message has the fields.
    pub unsafe fn append_lines<'b>(self, lines: impl Iterator<Item = &'b [u8]> + Clone, kept: &mut Vec<u8>) {
        let bytes = lines.clone().map(|line| line.len() + 1).sum::<usize>();
        // Varnish does not take it well to be asked for no room at all.
        let Ok(asked @ 1..) = u32::try_from(bytes) else { return };
        // SAFETY: `ws` is the message's; WS_Alloc gives as many bytes as it is asked for, or null. Each line gets its own
        // part of them, or of as many that `kept` has, with a zero byte after it.
        unsafe {
            let mut room = if bytes > LARGE_BYTES {
                *kept = vec![0; bytes];
                kept.as_mut_ptr()
            } else {
                ffi::WS_Alloc((*self.http).ws, asked).cast::<u8>()
            };
            if room.is_null() {
                return;
            }
            for line in lines {
                room.copy_from_nonoverlapping(line.as_ptr(), line.len());
                room.add(line.len()).write(0);
                ffi::http_SetHeader(self.http, room.cast());
                room = room.add(line.len() + 1);
            }
        }
    }

    /// Who passed it on, after those who did before: a pseudonym (RFC 9110, 7.6.3) in place of what Varnish says of itself,
    /// where it has signed already.
    pub fn sign_via(self, is_signed: bool) {
        // SAFETY: Varnish's own text lives as long as the process.
        let of_varnish = unsafe { CStr::from_ptr(ffi::http_ViaHeader()) }.to_bytes();
        let last = (0..)
            .zip(self.lines())
            .skip(ffi::HTTP_HDR_FIRST as usize)
            .filter_map(|(place, line)| Some((place, value_of(text(line), b"via")?)));
        let Some((place, value)) = last.last() else {
            // SAFETY: a static text needs no room in the workspace.
            return unsafe { ffi::http_SetHeader(self.http, VIA.as_ptr()) };
        };
        let before = if is_signed { value.strip_suffix(of_varnish).unwrap_or(value) } else { value };
        let line = match before.trim_ascii_end().strip_suffix(b",").unwrap_or(before) {
            b"" => Some(VIA.as_ptr()),
            before => self.copy(&[b"Via: ", before, b", ", &VIA.to_bytes()[b"Via: ".len()..]]),
        };
        if let Some(line) = line {
            // SAFETY: the line ends with a zero byte, and lives in the workspace or for ever; there is one at that place.
            unsafe { ffi::http_SetH(self.http, place, line) }
        }
    }

    /// No fields.
    pub fn clear(self) {
        // SAFETY: the first lines are no fields, and stay.
        unsafe {
            let lines = &mut (*self.http).nhd;
            *lines = u16::try_from(ffi::HTTP_HDR_FIRST).map_or(*lines, |first| first.min(*lines));
        }
    }

    pub fn set_protocol(self, protocol: &'static CStr) {
        // SAFETY: a static text needs no room in the workspace.
        unsafe { ffi::http_SetH(self.http, ffi::HTTP_HDR_PROTO, protocol.as_ptr()) }
    }

    /// Without a reason Varnish says what the status is usually called.
    pub fn set_status(self, status: u16, reason: &[u8]) {
        let copy = if reason.is_empty() { None } else { self.copy(&[reason]) };
        // SAFETY: `copy` ends with a zero byte and lives in the message's workspace.
        unsafe { ffi::http_SetStatus(self.http, status, copy.unwrap_or(std::ptr::null())) }
    }

    /// Fields of that name become what they are in `other`, whose workspace must be the same.
    pub fn restore(mut self, name: &[u8], other: Self) {
        self.remove(name);
        for line in other.lines().iter().skip(ffi::HTTP_HDR_FIRST as usize) {
            if value_of(text(line), name).is_some() {
                // SAFETY: a line of a message ends with a zero byte, and stays where it is.
                unsafe { ffi::http_SetHeader(self.http, line.b) }
            }
        }
    }

    /// The parts as one text in the workspace, with a zero byte after it.
    fn copy(self, parts: &[&[u8]]) -> Option<*const c_char> {
        // SAFETY: `ws` is the message's.
        unsafe { workspace::copy((*self.http).ws, parts) }
    }

    /// Varnish answers 500, without a body, where its workspace overflowed. An answer of ghost's own needs little of it.
    pub fn forgive_overflow(self) {
        // SAFETY: `ws` is the message's; an overflow is the upper case of its name's first letter.
        unsafe {
            if let Some(workspace) = (*self.http).ws.as_mut() {
                workspace.id[0] |= 0x20;
            }
        }
    }

    /// Whether the workspace could not hold all that was written.
    pub fn is_overflowed(self) -> bool {
        // SAFETY: `ws` is the message's.
        unsafe { ffi::WS_Overflowed((*self.http).ws) != 0 }
    }
}

impl Fields for Message<'_> {
    fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.value(name)
    }
}

impl EditFields for Message<'_> {
    fn remove(&mut self, name: &[u8]) {
        if self.value(name).is_none() {
            return;
        }
        // Requests with longer names are refused, and filters that name one are broken.
        let Some(name) = HeaderName::new(name) else { return };
        // SAFETY: the name has Varnish's form.
        unsafe { ffi::http_Unset(self.http, name.form().as_ptr().cast()) }
    }

    fn add(&mut self, field: &Field) {
        self.append_parts(&[&field.line()[..field.line().len() - 1]]);
    }
}

impl EditRequest for Message<'_> {
    fn has(&self, field: &Field) -> bool {
        self.value(field.name()) == Some(field.value())
    }

    fn target(&self) -> &[u8] {
        self.url()
    }

    fn set_target(&mut self, target: Vec<u8>) {
        self.set_url(&target);
    }
}

impl EditForwarded for Message<'_> {
    fn remove_if(&mut self, is_meant: impl Fn(&[u8]) -> bool) {
        while let Some(field) = self.fields().find(|field| is_meant(field)) {
            let before = self.lines().len();
            self.remove(name_of(field));
            if self.lines().len() == before {
                break;
            }
        }
    }

    fn append(&mut self, name: &'static str, value: &[u8]) {
        self.append_parts(&[name.as_bytes(), b": ", value]);
    }

    fn append_proto(&mut self, is_https: bool) {
        let line = if is_https { c"X-Forwarded-Proto: https" } else { c"X-Forwarded-Proto: http" };
        // SAFETY: a static text needs no room in the workspace.
        unsafe { ffi::http_SetHeader(self.http, line.as_ptr()) }
    }

    fn keep(&mut self, is_meant: impl Fn(&[u8]) -> bool) {
        for (place, line) in self.lines().iter().enumerate().skip(ffi::HTTP_HDR_FIRST as usize) {
            if is_meant(text(line)) {
                // SAFETY: Varnish keeps as many flags as lines.
                unsafe { *(*self.http).hdf.add(place) &= !HDF_FILTER }
            }
        }
    }
}

fn text<'a>(line: &ffi::txt) -> &'a [u8] {
    if line.b.is_null() {
        return &[];
    }
    // SAFETY: a line's end is not before its beginning, both are in one workspace.
    unsafe { slice::from_raw_parts(line.b.cast(), usize::try_from(line.e.offset_from(line.b)).unwrap_or(0)) }
}

fn name_of(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|byte| *byte == b':').unwrap_or(0)]
}

pub fn value_of<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = field.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}
