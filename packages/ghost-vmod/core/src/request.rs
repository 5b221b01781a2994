//! What routing asks of a request.

/// The header fields of a message.
pub trait Fields {
    /// The value of the first field of that name, which is in lower case.
    fn first(&self, name: &[u8]) -> Option<&[u8]>;
}

/// A request whose target and host are normalised.
#[derive(Debug)]
pub struct Request<'a, F> {
    pub method: &'a [u8],
    /// In lower case, without port and trailing dot.
    pub host: Option<&'a [u8]>,
    pub path: &'a [u8],
    /// What follows the question mark.
    pub query: Option<&'a [u8]>,
    pub fields: &'a F,
}
