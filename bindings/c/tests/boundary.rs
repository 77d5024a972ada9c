//! Every function that C can call stands behind the one macro that keeps panics in.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Attribute, Block, Expr, ImplItemFn, ItemFn, Macro, Meta, Path, Signature, Stmt};

/// The functions that C can call, as the sources have them.
#[derive(Default)]
struct Functions {
    behind: BTreeSet<String>,
    outside: BTreeSet<String>,
}

impl Functions {
    fn of(source: &str) -> Functions {
        let mut functions = Functions::default();
        functions.visit_file(&syn::parse_file(source).unwrap());
        functions
    }

    fn add(&mut self, attributes: &[Attribute], signature: &Signature, body: &Block) {
        if signature.abi.is_none() && !attributes.iter().any(is_export) {
            return;
        }
        let name = signature.ident.to_string();
        let only = match &body.stmts[..] {
            [Stmt::Macro(only)] => Some(&only.mac),
            [Stmt::Expr(Expr::Macro(only), None)] => Some(&only.mac),
            _ => None,
        };
        match only.is_some_and(|only| only.path.is_ident("boundary")) {
            true => self.behind.insert(name),
            false => self.outside.insert(name),
        };
    }
}

/// `#[unsafe(no_mangle)]` and its kin.
fn is_export(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) => exports(&list.tokens.to_string()),
        other => exports(&ident(other.path())),
    }
}

fn exports(text: &str) -> bool {
    text.contains("no_mangle") || text.contains("export_name")
}

fn ident(path: &Path) -> String {
    let last = path.segments.last();
    last.map(|segment| segment.ident.to_string()).unwrap()
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        self.add(&function.attrs, &function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        self.add(&function.attrs, &function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    /// What a macro holds is not parsed, so no function may be hidden there.
    fn visit_macro(&mut self, hidden: &'a Macro) {
        let text = hidden.tokens.to_string();
        if text.contains("extern") || exports(&text) {
            self.outside.insert(ident(&hidden.path));
        }
    }
}

#[test]
fn every_exported_function_stands_behind_the_boundary() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Functions::default();
    for entry in std::fs::read_dir(root.join("src")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.is_file(), "{} is not looked at", path.display());
        let functions = Functions::of(&std::fs::read_to_string(path).unwrap());
        all.behind.extend(functions.behind);
        all.outside.extend(functions.outside);
    }
    assert_eq!(all.outside, BTreeSet::new());
    all.behind.retain(|name| !name.starts_with("pay88_test_"));
    let symbols = std::fs::read_to_string(root.join("symbols.txt")).unwrap();
    assert_eq!(all.behind, symbols.lines().map(str::to_owned).collect());
}

#[test]
fn what_stands_outside_of_the_boundary_is_found_wherever_it_is() {
    for outside in [
        "pub extern \"C\" fn found() { drop(1) }",
        "pub extern \"C\" fn found() { drop(1); boundary!(act, || {}) }",
        "pub extern \"C\" fn found() { boundary!(act, || {}); drop(1) }",
        "pub extern \"C\" fn found() { other!(act, || {}) }",
        "pub extern \"C\" fn found() {}",
        "pub unsafe extern \"C-unwind\" fn found() {}",
        "#[unsafe(no_mangle)] pub fn found() {}",
        "#[unsafe(export_name = \"other\")] pub fn found() {}",
        "mod inner { impl Handle { pub extern \"C\" fn found() {} } }",
        "fn outer() { extern \"C\" fn found() {} }",
    ] {
        let functions = Functions::of(outside);
        assert_eq!(functions.outside, ["found".to_owned()].into(), "{outside}");
    }
    let hidden = Functions::of("functions! { extern \"C\" fn found() {} }");
    assert_eq!(hidden.outside, ["functions".to_owned()].into());
    let behind = Functions::of("pub extern \"C\" fn found() { boundary!(act, || {}) }");
    assert!(behind.outside.is_empty() && behind.behind.len() == 1);
}
