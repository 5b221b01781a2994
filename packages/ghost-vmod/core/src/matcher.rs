//! The conditions of a rule apart from host and path: method, header fields, query parameters.

use crate::{expression::Expression, query, request::Fields, request::Request};

/// How a value is matched.
#[derive(Debug)]
pub enum Test {
    Exact(Box<[u8]>),
    Expression(Expression),
    /// Its expression did not compile: any value may be the one that was meant, and the rule answers 500.
    Broken,
}

impl Test {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *value,
            Self::Expression(expression) => expression.is_match(value),
            Self::Broken => true,
        }
    }
}

/// A test of the first value of that name.
#[derive(Debug)]
pub struct ValueMatch {
    pub name: Box<[u8]>,
    pub test: Test,
}

/// All of them must hold.
#[derive(Debug, Default)]
pub struct Conditions {
    pub method: Option<Box<[u8]>>,
    /// Names in lower case.
    pub headers: Box<[ValueMatch]>,
    /// Names as they are, decoded.
    pub query_parameters: Box<[ValueMatch]>,
}

impl Conditions {
    pub fn hold<F: Fields>(&self, request: &Request<F>) -> bool {
        self.method.as_ref().is_none_or(|method| **method == *request.method)
            && self
                .headers
                .iter()
                .all(|wanted| request.fields.first(&wanted.name).is_some_and(|value| wanted.test.holds(value)))
            && self
                .query_parameters
                .iter()
                .all(|wanted| query::first(request.query, &wanted.name).is_some_and(|value| wanted.test.holds(&value)))
    }
}
