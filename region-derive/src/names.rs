use syn::{Ident, LitStr, Path, parse_quote};

/// The path of the facade if no `crate = ".."` is given.
pub(crate) fn default_crate() -> Path {
    parse_quote!(::region_cache)
}

/// The name of a type or variant as the name of a segment.
pub(crate) fn snake_case(ident: &Ident) -> LitStr {
    let text = ident.to_string();
    let text = text.strip_prefix("r#").unwrap_or(&text);
    let mut snake = String::with_capacity(text.len() + 4);
    let mut before: Option<char> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && letters.peek().is_some_and(|l| l.is_lowercase()))
            });
        if starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        before = Some(letter);
    }
    LitStr::new(&snake, ident.span())
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    #[test]
    fn names_become_snake_case() {
        let snake = |name: &str| snake_case(&Ident::new(name, Span::call_site())).value();
        assert_eq!(snake("Project"), "project");
        assert_eq!(snake("ProjectTask"), "project_task");
        assert_eq!(snake("HTTPPage"), "http_page");
        assert_eq!(snake("V2Api"), "v2_api");
    }
}
