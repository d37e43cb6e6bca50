//! Rust code made of bytes: each byte is a piece of it, and what is opened is closed.

/// The most brackets that are open at once: a compiler refuses code that is nested much deeper.
const MAX_DEPTH: usize = 40;

/// Pieces of the code that the macros are given.
const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    ",",
    ";",
    ":",
    "::",
    "=",
    "#",
    "!",
    "&",
    "->",
    "'a",
    "_",
    "|",
    "#[region(",
    "#[region]",
    "#![allow(unused)]",
    "#[doc = \"x\"]",
    "struct",
    "enum",
    "union",
    "async",
    "fn",
    "pub",
    "pub(crate)",
    "where",
    "mut",
    "ref",
    "self",
    "Self",
    "dyn",
    "impl",
    "const",
    "unsafe",
    "crate",
    "Org",
    "Page",
    "r#type",
    "id",
    "parent_id",
    "parent",
    "no_id",
    "name",
    "constructor",
    "ttl",
    "no_ttl",
    "region_ttl",
    "on_update",
    "serializer",
    "version",
    "policy",
    "near",
    "ttl_jitter",
    "tll",
    "skip",
    "region",
    "u64",
    "String",
    "Box<Org>",
    "Option",
    "Result",
    "Arc",
    "T",
    "a: u64,",
    "id = 1",
    "name = \"org\"",
    "parent = Org",
    "\"1h30m\"",
    "\"0s\"",
    "\"keep\"",
    "\"\"",
    "\"r#fn\"",
    "\"a b\"",
    "\"99999999999999999999d\"",
    "1",
    "-1",
    "4294967296",
    "1.5",
    "0x",
    "b\"x\"",
    "'x'",
    "ß",
    "İ",
    "Ⅷ",
    "return",
    "match x {",
    "if",
    "else",
    "let",
    "..",
    "|| x",
    ".await",
    "?",
    "extern \"C\"",
    "A = 1,",
    "B(",
    "C {",
];

/// Returns code made of `bytes`.
pub fn code(bytes: &[u8]) -> String {
    let mut code = String::new();
    let mut open = Vec::new();
    let mut angles: usize = 0;
    for byte in bytes {
        let piece = PIECES[usize::from(*byte) % PIECES.len()];
        match piece {
            ")" | "]" | "}" => {
                code.extend(open.pop());
                code.push(' ');
                continue;
            }
            "<" if angles >= MAX_DEPTH => continue,
            _ if open.len() >= MAX_DEPTH && piece.contains(['(', '[', '{']) => continue,
            _ => code.push_str(piece),
        }
        for mark in piece.chars() {
            match mark {
                '(' => open.push(')'),
                '[' => open.push(']'),
                '{' => open.push('}'),
                ')' | ']' | '}' => drop(open.pop()),
                '<' => angles += 1,
                '>' => angles = angles.saturating_sub(1),
                _ => {}
            }
        }
        code.push(' ');
    }
    code.extend(open.into_iter().rev());
    code
}
