//! What pages have in common. `html!` escapes every text that is put into it.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::model::LONGEST_NAME;

const STYLE: &str = include_str!("style.css");

/// A whole page.
#[must_use]
pub fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                nav { a href="/" { "Library" } }
                main { (content) }
            }
        }
    }
}

/// The form that adds a thing.
#[must_use]
pub fn add_form(action: &str, what: &str) -> Markup {
    html! {
        form .add method="post" action=(action) {
            (name_input("", &format!("new {what}")))
            button { "Add " (what) }
        }
    }
}

/// The field for a name. What it refuses, the handlers refuse too.
#[must_use]
pub fn name_input(value: &str, label: &str) -> Markup {
    html! {
        input name="name" value=(value) placeholder=(label) aria-label=(label)
            required maxlength=(LONGEST_NAME);
    }
}

/// The link to the forms that edit a thing.
#[must_use]
pub fn edit_link(url: &str) -> Markup {
    html! { a .edit href={ (url) "/edit" } { "edit" } }
}

/// The forms that edit a thing. `moving` is what there is to move to, and where it is now.
#[must_use]
pub fn edit_forms(url: &str, name: &str, moving: Option<(&[(i64, String)], i64)>) -> Markup {
    html! {
        section .doll {
            header { h1 { (name) } }
            form .rename method="post" action={ (url) "/rename" } {
                (name_input(name, "name"))
                button { "Rename" }
            }
            @if let Some((places, here)) = moving {
                form .move method="post" action={ (url) "/move" } {
                    select name="to" aria-label="place" {
                        @for (id, name) in places {
                            option value=(id) selected[*id == here] { (name) }
                        }
                    }
                    button { "Move" }
                }
            }
            form .delete method="post" action={ (url) "/delete" } {
                button { "Delete" }
                small { "with all that is inside" }
            }
        }
    }
}

/// Makes a page of an error that is not one yet: those of extractors and of the cache are short texts, or JSON.
pub async fn error_as_page(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let message = match parts.headers.get(header::CONTENT_TYPE) {
        Some(kind) if kind.as_bytes().starts_with(b"text/plain") => text_of(body).await,
        _ => None,
    };
    let page = error_page(status, message.as_deref());
    // All other headers stay, such as `Retry-After` and `Allow`.
    parts.headers.remove(header::CONTENT_LENGTH);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    parts.headers.insert(header::CONTENT_TYPE, html);
    (parts, page.into_string()).into_response()
}

/// The largest message of an error that is shown, in bytes.
const LONGEST_MESSAGE: usize = 1024;

async fn text_of(body: Body) -> Option<String> {
    let bytes = to_bytes(body, LONGEST_MESSAGE).await.ok()?;
    String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.is_empty())
}

fn error_page(status: StatusCode, message: Option<&str>) -> Markup {
    let reason = status.canonical_reason().unwrap_or("Error");
    let content = html! {
        section .doll .error {
            header { h1 { (reason) } }
            p { (message.unwrap_or("The request cannot be served.")) }
        }
    };
    page(reason, &content)
}
