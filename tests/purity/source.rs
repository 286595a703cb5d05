//! What names a Rust source names: as much of a compiler as that takes.

use std::collections::BTreeMap;

/// A file, and every path that it names outside comments, strings and unit tests.
pub(crate) struct Source {
    /// As a person would say it, for messages.
    pub(crate) file: String,
    /// Its module below the crate, as `["proto", "connection", "read"]`.
    pub(crate) module: Vec<String>,
    /// In the order of the text.
    pub(crate) names: Vec<Name>,
}

/// A path as written out in full, as `std::io::Read`, or the words `static mut`, also for a static
/// that changes without them.
pub(crate) struct Name {
    pub(crate) line: usize,
    pub(crate) path: String,
}

impl Source {
    pub(crate) fn new(file: &str, module: &[&str], text: &str) -> Self {
        let tokens = without_tests(tokens(text));
        let mut reader = Reader {
            tokens: &tokens,
            module,
            names: Vec::new(),
            imports: BTreeMap::new(),
        };
        reader.read();
        Self {
            file: file.to_owned(),
            module: module.iter().map(|&part| part.to_owned()).collect(),
            names: reader.names,
        }
    }
}

/// A word, a `::` or one character, and the line it stands on.
#[derive(Clone, Copy)]
struct Token<'a> {
    line: usize,
    text: &'a str,
}

impl Token<'_> {
    fn is_word(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Collects names, and what the file's imports make short names stand for.
struct Reader<'a> {
    tokens: &'a [Token<'a>],
    module: &'a [&'a str],
    names: Vec<Name>,
    imports: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        // Imports hold for the whole file, whichever line they stand on.
        let mut at = 0;
        let mut outside = Vec::new();
        while at < self.tokens.len() {
            // `impl Trait + use<'a>` is no import.
            if self.text(at) == "use" && self.text(at + 1) != "<" {
                at = self.import(at + 1, &[]);
            } else {
                outside.push(at);
                at += 1;
            }
        }
        let mut next = 0;
        for at in outside {
            if at >= next {
                next = self.path(at);
            }
        }
        self.names.sort_by_key(|name| name.line);
    }

    /// Reads the tree of a `use` under a prefix; answers where it ends.
    fn import(&mut self, mut at: usize, prefix: &[&'a str]) -> usize {
        let line = self.line(at);
        let mut path = prefix.to_vec();
        loop {
            match self.text(at) {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        at = self.import(at, &path);
                        at += usize::from(self.text(at) == ",");
                    }
                    return at + 1;
                }
                "self" if !path.is_empty() => at += 1,
                "as" => {
                    let path = self.full(&path);
                    self.imports.insert(self.text(at + 1), path.clone());
                    self.name(line, &path);
                    return at + 2;
                }
                word if word == "*" || self.is_word(at) => {
                    path.push(word);
                    at += 1;
                }
                _ => {
                    let path = self.full(&path);
                    if let Some(last) = path.last() {
                        self.imports.insert(last, path.clone());
                    }
                    self.name(line, &path);
                    return at;
                }
            }
        }
    }

    /// Reads a path outside a `use`, if one begins here; answers where it ends.
    fn path(&mut self, mut at: usize) -> usize {
        let line = self.line(at);
        if self.text(at) == "static" && self.is_changing(at + 1) {
            self.name(line, &["static mut"]);
            return at + 2;
        }
        // A field or method after a dot is no path, nor is the name that `fn` declares.
        if !self.is_word(at) || at > 0 && matches!(self.text(at - 1), "." | "fn") {
            return at + 1;
        }
        let mut path = vec![self.text(at)];
        at += 1;
        while self.text(at) == "::" && self.is_word(at + 1) {
            path.push(self.text(at + 1));
            at += 2;
        }
        // A word alone is a variable more often than not; with a `!` it is a macro.
        if path.len() > 1 || self.text(at) == "!" || self.imports.contains_key(path[0]) {
            let path = self.full(&path);
            self.name(line, &path);
        }
        at
    }

    /// Whether a static, from behind that word to its value, is one that changes.
    fn is_changing(&self, from: usize) -> bool {
        let declared = self.tokens.get(from..).unwrap_or_default().iter();
        let mut words = declared
            .map(|token| token.text)
            .take_while(|text| !matches!(*text, "=" | ";"));
        words.any(|word| {
            word == "mut"
                || ["Atomic", "Cell", "Lock", "Mutex", "Once"]
                    .iter()
                    .any(|part| word.contains(part))
        })
    }

    /// The path from its root: imports followed, `self` and `super` resolved.
    fn full(&self, path: &[&'a str]) -> Vec<&'a str> {
        let mut rest = path;
        let mut full = Vec::new();
        if let [first @ ("self" | "super"), ..] = path {
            full.push("crate");
            full.extend(self.module);
            rest = &rest[usize::from(*first == "self")..];
            while let ["super", after @ ..] = rest {
                full.pop();
                rest = after;
            }
        } else if let [first, after @ ..] = path
            && let Some(import) = self.imports.get(first)
        {
            full.extend(import);
            rest = after;
        }
        full.extend(rest);
        full
    }

    fn name(&mut self, line: usize, path: &[&str]) {
        let path = path.join("::");
        self.names.push(Name { line, path });
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn line(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(0, |token| token.line)
    }

    fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(Token::is_word)
    }
}

/// The tokens without every item under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens.as_slice();
    while let [token, after @ ..] = rest {
        let marked = rest.len() >= MARK.len()
            && rest
                .iter()
                .zip(MARK)
                .all(|(token, mark)| token.text == mark);
        if marked {
            rest = after_item(&rest[MARK.len()..]);
        } else {
            kept.push(*token);
            rest = after;
        }
    }
    kept
}

/// What follows an item, which ends with a semicolon or with the brace that closes its first.
fn after_item<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(token.text, "}" | ";") {
            return &tokens[at + 1..];
        }
    }
    &[]
}

/// The text as tokens, without blanks, comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skipped(rest);
        let len = match skipped {
            0 if rest.starts_with("::") => 2,
            0 if first.is_alphanumeric() || first == '_' => word(rest),
            0 => first.len_utf8(),
            len => len,
        };
        let (text, after) = rest.split_at(len);
        if skipped == 0 && !first.is_whitespace() {
            tokens.push(Token { line, text });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The bytes of a comment, string, character or lifetime that begins here, or 0.
fn skipped(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    // Prefixes first: b"", c"", r"", br#""#, b''.
    let body = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = &rest[..rest.len() - body.len()];
    if prefix.ends_with('r') && matches!(prefix, "r" | "br" | "cr") {
        let hashes = body.len() - body.trim_start_matches('#').len();
        if let Some(inside) = body[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = inside.find(&end).unwrap_or(inside.len() - end.len());
            return prefix.len() + hashes + 1 + inside + end.len();
        }
    }
    match body.chars().next() {
        Some('"') if matches!(prefix, "" | "b" | "c") => prefix.len() + quoted(body, '"'),
        Some('\'') if matches!(prefix, "" | "b") => {
            // A lifetime has no closing quote behind its first character.
            let mut chars = body[1..].chars();
            let is_char = matches!(chars.next(), Some('\\')) || chars.next() == Some('\'');
            match is_char {
                true => prefix.len() + quoted(body, '\''),
                false => 1 + word(&body[1..]),
            }
        }
        _ => 0,
    }
}

/// The bytes of a literal up to its closing quote, escapes considered.
fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    body.len()
}

/// The bytes of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The bytes of the word that begins here.
fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len())
}
