//! The page's files, as they are built into the program.

use openline::proto::{Page, Refusal, Status};

/// The file at `path`, if there is one.
pub(super) fn file(path: &str) -> Option<Page> {
    let (media_type, content) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("page/index.html")),
        "/demo.css" => ("text/css; charset=utf-8", include_str!("page/demo.css")),
        "/app.js" => (SCRIPT, include_str!("page/app.js")),
        "/wire.js" => (SCRIPT, include_str!("page/wire.js")),
        "/draw.js" => (SCRIPT, include_str!("page/draw.js")),
        _ => return None,
    };
    Some(page(media_type, content.to_owned()))
}

/// A document of JSON.
pub(super) fn json(document: String) -> Page {
    page("application/json", document)
}

/// The answer where there is nothing.
pub(super) fn nothing() -> Page {
    Refusal::new(Status::NOT_FOUND)
        .with_text("there is no such page; the demo is at /\n")
        .into()
}

fn page(media_type: &str, content: String) -> Page {
    let mut page = Page::new(media_type, content).expect("these types are legal header values");
    for (name, value) in [
        // Nothing but our own files, and connections to where they came from.
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
             connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ] {
        page.headers
            .push(name, value)
            .expect("these fields are legal");
    }
    page
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
