//! One operation: how it is asked for, by whom, what it answers, and who handles it.

use axum::{
    Router,
    handler::Handler,
    routing::{self, MethodRouter},
};
use serde_json::Value;

use super::shape::named;
use crate::services::Services;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anybody.
    Anyone,
    /// Whoever has a token or is signed in.
    Token,
    /// Who may read.
    Read,
    /// Who may read, and members.
    ReadOrMember,
    /// Who may publish.
    Publish,
    /// Who may publish, and members.
    PublishOrMember,
    /// Who may remove.
    Remove,
    /// Who may do everything.
    Admin,
    /// Who may do everything, and members.
    AdminOrMember,
}

impl Who {
    /// In words.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Anyone => "Anybody.",
            Self::Token => "Any token or session.",
            Self::Read => "Scope `read`.",
            Self::ReadOrMember => "Scope `read`, and members of the network.",
            Self::Publish => "Scope `publish`.",
            Self::PublishOrMember => "Scope `publish`, and members of the network.",
            Self::Remove => "Scope `remove`.",
            Self::Admin => "Scope `admin`.",
            Self::AdminOrMember => "Scope `admin`, and members of the network.",
        }
    }
}

/// What a body is.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Nothing.
    Empty,
    /// JSON of a shape.
    Json(Value),
    /// A media type, and the shape of what it holds.
    Of(&'static str, Value),
}

impl Body {
    /// A text.
    pub(crate) fn text() -> Self {
        Self::Of("text/plain", super::text())
    }

    /// Bytes.
    pub(crate) fn bytes() -> Self {
        Self::Of("application/octet-stream", Value::Bool(true))
    }

    /// Server-sent events.
    pub(crate) fn events() -> Self {
        Self::Of("text/event-stream", super::text())
    }
}

/// A parameter in the query or among the headers.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) shape: Value,
    pub(super) about: &'static str,
    pub(super) is_required: bool,
}

/// An operation of the interface.
pub(crate) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) who: Who,
    pub(super) parameters: Vec<Parameter>,
    pub(super) request: Option<(Body, bool)>,
    pub(super) answers: Vec<(u16, Body)>,
    pub(super) refusals: Vec<&'static str>,
    pub(super) has_head: bool,
    pub(super) is_legacy: bool,
    handler: MethodRouter<Services>,
}

macro_rules! methods {
    ($($method:ident),*) => {
        $(
            /// An operation with this method.
            pub(crate) fn $method<H, T>(path: &'static str, who: Who, about: &'static str, handler: H) -> Operation
            where
                H: Handler<T, Services>,
                T: 'static,
            {
                Operation::new(stringify!($method), path, who, about, routing::$method(handler))
            }
        )*
    };
}

methods!(get, put, post, patch, delete);

impl Operation {
    fn new(
        method: &'static str,
        path: &'static str,
        who: Who,
        about: &'static str,
        handler: MethodRouter<Services>,
    ) -> Self {
        Self {
            method,
            path,
            about,
            who,
            parameters: Vec::new(),
            request: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            has_head: false,
            is_legacy: false,
            handler,
        }
    }

    /// Takes a parameter in its query.
    pub(crate) fn query(mut self, name: &'static str, shape: Value, about: &'static str) -> Self {
        self.parameters.push(Parameter { name, place: "query", shape, about, is_required: false });
        self
    }

    /// Needs a parameter in its query.
    pub(crate) fn required(mut self, name: &'static str, shape: Value, about: &'static str) -> Self {
        self.parameters.push(Parameter { name, place: "query", shape, about, is_required: true });
        self
    }

    /// Looks at a header.
    pub(crate) fn header(mut self, name: &'static str, about: &'static str) -> Self {
        self.parameters.push(Parameter {
            name,
            place: "header",
            shape: super::text(),
            about,
            is_required: false,
        });
        self
    }

    /// Takes the parameters of a list in pages.
    pub(crate) fn paged(self) -> Self {
        self.query("after", super::filled(), "`next` of the page before").query(
            "limit",
            super::integer(),
            "rows on the page; 1 is the least, and a list's own bound the most",
        )
    }

    /// Takes `?wait=`, and answers a write with a shape when it is final, and before.
    pub(crate) fn written(self, shape: &str) -> Self {
        self.query(
            "wait",
            super::choice(&["final", "none"]),
            "`none` is answered as soon as the write is durable in this node's queue",
        )
        .gives(200, Body::Json(named(shape)))
        .gives(202, Body::Json(named(shape)))
        .refuses(&["conflict", "no_quorum", "not_final"])
    }

    /// Needs a body.
    pub(crate) fn takes(mut self, body: Body) -> Self {
        self.request = Some((body, true));
        self
    }

    /// Takes a body or none.
    pub(crate) fn may_take(mut self, body: Body) -> Self {
        self.request = Some((body, false));
        self
    }

    /// May answer so.
    pub(crate) fn gives(mut self, status: u16, body: Body) -> Self {
        self.answers.push((status, body));
        self
    }

    /// Answers JSON of a shape.
    pub(crate) fn shows(self, shape: &str) -> Self {
        self.gives(200, Body::Json(named(shape)))
    }

    /// May refuse with these codes, besides those that every operation has.
    pub(crate) fn refuses(mut self, codes: &[&'static str]) -> Self {
        self.refusals.extend(codes);
        self
    }

    /// Answers HEAD too.
    pub(crate) fn with_head(mut self) -> Self {
        self.has_head = true;
        self
    }

    /// Refuses in the shape of the original service.
    pub(crate) fn legacy(mut self) -> Self {
        self.is_legacy = true;
        self
    }

    /// Changes how the handler is reached.
    pub(crate) fn served(
        mut self,
        change: impl FnOnce(MethodRouter<Services>) -> MethodRouter<Services>,
    ) -> Self {
        self.handler = change(self.handler);
        self
    }
}

/// The router of some operations.
pub(crate) fn router(operations: impl IntoIterator<Item = Operation>) -> Router<Services> {
    operations
        .into_iter()
        .fold(Router::new(), |router, operation| router.route(operation.path, operation.handler))
}
