//! From a header that cbindgen wrote to Rust declarations.
//!
//! Understands what such a header holds and nothing else: opaque types, plain structs, enums with numbers, typedefs,
//! prototypes and number macros. Never skips what it does not understand: that is an error, which fails the build.

use std::collections::BTreeSet;
use std::fmt::Write;

/// The C types that need no declaration, and what Rust calls them.
const SCALARS: &[(&str, &str)] = &[
    ("void", "::std::ffi::c_void"),
    ("char", "::std::ffi::c_char"),
    ("int", "::std::ffi::c_int"),
    ("bool", "bool"),
    ("double", "f64"),
    ("size_t", "usize"),
    ("uint8_t", "u8"),
    ("uint16_t", "u16"),
    ("uint32_t", "u32"),
    ("uint64_t", "u64"),
    ("int32_t", "i32"),
    ("int64_t", "i64"),
];

/// The declarations of `header` as the text of a Rust module: its types and constants, and `Functions`, a table of all
/// its functions with `resolve` to fill it.
///
/// # Errors
/// The first declaration that is not understood.
pub(crate) fn declarations(header: &str) -> Result<String, String> {
    let mut module = Module::default();
    let code = module.preprocess(&without_comments(header)?)?;
    for declaration in split(&tokens(&code)?)? {
        module
            .declare(&declaration)
            .map_err(|why| format!("`{}`: {why}", declaration.join(" ")))?;
    }
    if module.fields.is_empty() {
        return Err("no function in it".to_owned());
    }
    module.finish().map_err(|error| error.to_string())
}

fn without_comments(header: &str) -> Result<String, String> {
    let mut code = String::new();
    let mut rest = header;
    while let Some(start) = rest.find('/') {
        let (before, comment) = rest.split_at(start);
        code.push_str(before);
        let end = if comment.starts_with("//") {
            comment.find('\n').unwrap_or(comment.len())
        } else if comment.starts_with("/*") {
            comment
                .find("*/")
                .ok_or_else(|| "a comment has no end".to_owned())?
                + 2
        } else {
            return Err("a / outside of a comment".to_owned());
        };
        code.push(' ');
        rest = &comment[end..];
    }
    code.push_str(rest);
    Ok(code)
}

/// Names, numbers, quoted text and single signs.
fn tokens(code: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = match first {
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            '{' | '}' | '(' | ')' | '*' | ',' | ';' | '=' => 1,
            other => return Err(format!("an unexpected {other:?}")),
        };
        tokens.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(tokens)
}

/// The declarations, each up to its semicolon, which is left out.
fn split(tokens: &[String]) -> Result<Vec<Vec<&str>>, String> {
    let mut declarations = Vec::new();
    let mut current = Vec::new();
    let mut depth = 0_usize;
    for token in tokens {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.checked_sub(1).ok_or("a } too many")?,
            ";" if depth == 0 => {
                declarations.push(std::mem::take(&mut current));
                continue;
            }
            _ => {}
        }
        current.push(token.as_str());
    }
    match current.is_empty() {
        true => Ok(declarations),
        false => Err(format!("`{}` has no end", current.join(" "))),
    }
}

/// What was read so far.
#[derive(Default)]
struct Module {
    known: BTreeSet<String>,
    types: String,
    fields: String,
    values: String,
}

impl Module {
    /// Takes the number macros and leaves out all that is meant for C++ or for the preprocessor alone.
    fn preprocess(&mut self, code: &str) -> Result<String, String> {
        let mut left = String::new();
        let mut in_cplusplus = false;
        for line in code.lines().map(str::trim) {
            match line.strip_prefix('#') {
                Some(directive) => {
                    let words: Vec<&str> = directive.split_whitespace().collect();
                    match words[..] {
                        ["ifdef", "__cplusplus"] => in_cplusplus = true,
                        ["endif"] => in_cplusplus = false,
                        ["include" | "ifndef", _] => {}
                        ["define", name] if name.ends_with("_H") => {}
                        // A macro with arguments is a help for C programs, not a part of the ABI.
                        ["define", name, ..] if name.contains('(') => {}
                        ["define", name, number] if number.parse::<u32>().is_ok() => {
                            writeln!(self.types, "pub(crate) const {name}: u32 = {number};")
                                .map_err(|error| error.to_string())?
                        }
                        _ => return Err(format!("`{line}` is not understood")),
                    }
                }
                None if in_cplusplus => {}
                None => {
                    left.push_str(line);
                    left.push('\n');
                }
            }
        }
        Ok(left)
    }

    fn declare(&mut self, declaration: &[&str]) -> Result<(), String> {
        let text = match declaration {
            ["typedef", "struct", tag, name] if tag == name => {
                self.know(name)?;
                format!("#[repr(C)]\npub(crate) struct {name} {{ _private: [u8; 0] }}\n")
            }
            ["typedef", "struct", tag, "{", fields @ .., "}", name] if tag == name => {
                let mut text =
                    format!("#[repr(C)]\n#[derive(Clone, Copy)]\npub(crate) struct {name} {{\n");
                for field in fields.split(|token| *token == ";") {
                    if let Some((field, kind)) = field.split_last() {
                        text += &format!("    pub(crate) {field}: {},\n", self.kind(kind)?);
                    }
                }
                self.know(name)?;
                text + "}\n"
            }
            // A later library may return a number that is not here, which a Rust enum could not hold.
            ["typedef", "enum", tag, "{", variants @ .., "}", name] if tag == name => {
                let mut text = format!("pub(crate) type {name} = ::std::ffi::c_uint;\n");
                for variant in variants.split(|token| *token == ",") {
                    match variant {
                        [] => {}
                        [variant, "=", number] if number.parse::<u32>().is_ok() => {
                            text += &format!("pub(crate) const {variant}: {name} = {number};\n");
                        }
                        _ => return Err("a variant without a number".to_owned()),
                    }
                }
                self.know(name)?;
                text
            }
            ["typedef", pointer @ .., ")"] => {
                let open = pointer
                    .iter()
                    .position(|token| *token == "(")
                    .ok_or("no (")?;
                let (result, rest) = pointer.split_at(open);
                let ["(", "*", name, ")", "(", arguments @ ..] = rest else {
                    return Err("no pointer to a function".to_owned());
                };
                let function = self.function(result, arguments)?;
                self.know(name)?;
                format!("pub(crate) type {name} = Option<{function}>;\n")
            }
            ["typedef", kind @ .., name] => {
                let text = format!("pub(crate) type {name} = {};\n", self.kind(kind)?);
                self.know(name)?;
                text
            }
            [prototype @ .., ")"] => {
                let open = prototype
                    .iter()
                    .position(|token| *token == "(")
                    .ok_or("no (")?;
                let (name, result) = prototype[..open].split_last().ok_or("no name")?;
                if !name.starts_with("pay88_") {
                    return Err("a function of another library".to_owned());
                }
                let function = self.function(result, &prototype[open + 1..])?;
                self.fields += &format!("    pub(crate) {name}: {function},\n");
                self.values += &format!(
                    "                {name}: ::std::mem::transmute::<Symbol, {function}>(find(c\"{name}\")?),\n"
                );
                return Ok(());
            }
            _ => return Err("not understood".to_owned()),
        };
        self.types += &text;
        Ok(())
    }

    fn know(&mut self, name: &str) -> Result<(), String> {
        match self.known.insert(name.to_owned()) {
            true => Ok(()),
            false => Err(format!("{name} is declared twice")),
        }
    }

    /// A function pointer type.
    fn function(&self, result: &[&str], arguments: &[&str]) -> Result<String, String> {
        let arguments = match arguments {
            ["void"] => String::new(),
            arguments => arguments
                .split(|token| *token == ",")
                .map(|argument| match argument.split_last() {
                    Some((name, kind)) if !kind.is_empty() => {
                        Ok(format!("{name}: {}", self.kind(kind)?))
                    }
                    _ => Err("an argument without a name or type".to_owned()),
                })
                .collect::<Result<Vec<_>, _>>()?
                .join(", "),
        };
        let result = match result {
            ["void"] => String::new(),
            kind => format!(" -> {}", self.kind(kind)?),
        };
        Ok(format!("unsafe extern \"C\" fn({arguments}){result}"))
    }

    /// `const char *` as Rust has it. `const` may only stand first, where cbindgen writes it.
    fn kind(&self, tokens: &[&str]) -> Result<String, String> {
        let (constant, tokens) = match tokens {
            ["const", rest @ ..] => (true, rest),
            all => (false, all),
        };
        // A tag is the typedef's name: `declare` saw to that.
        let tokens = match tokens {
            ["struct" | "enum", tagged @ ..] => tagged,
            all => all,
        };
        let [base, stars @ ..] = tokens else {
            return Err("a type is missing".to_owned());
        };
        if stars.iter().any(|token| *token != "*") {
            return Err(format!("the type `{}`", tokens.join(" ")));
        }
        if stars.is_empty() && (constant || *base == "void") {
            return Err(format!("`{base}` by value"));
        }
        let scalar = SCALARS.iter().find(|(c, _)| c == base);
        let mut kind = match scalar {
            Some((_, rust)) => (*rust).to_owned(),
            None if self.known.contains(*base) => (*base).to_owned(),
            None => return Err(format!("the unknown type `{base}`")),
        };
        for level in 0..stars.len() {
            let star = if level == 0 && constant {
                "*const"
            } else {
                "*mut"
            };
            kind = format!("{star} {kind}");
        }
        Ok(kind)
    }

    fn finish(self) -> Result<String, std::fmt::Error> {
        let Module {
            types,
            fields,
            values,
            ..
        } = self;
        let mut text = types;
        writeln!(
            text,
            "
/// The address of a function.
pub(crate) type Symbol = ::std::ptr::NonNull<::std::ffi::c_void>;

/// All functions of the header.
pub(crate) struct Functions {{
{fields}}}

impl Functions {{
    /// # Safety
    /// `find` returns the address of the function of that name, in a library whose ABI is that of the header and which
    /// stays loaded.
    pub(crate) unsafe fn resolve<E>(
        mut find: impl FnMut(&'static ::std::ffi::CStr) -> Result<Symbol, E>,
    ) -> Result<Functions, E> {{
        // SAFETY: the caller vouches for each address; a function pointer has the size of an address.
        unsafe {{
            Ok(Functions {{
{values}            }})
        }}
    }}
}}"
        )?;
        Ok(text)
    }
}
