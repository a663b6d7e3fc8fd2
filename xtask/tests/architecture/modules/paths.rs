//! The paths in a module's text: in `use` declarations, types, expressions, attributes and calls of macros.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Ident, ImplItemFn, Item, ItemFn, ItemImpl, ItemMod, ItemUse, Lit, Macro, Meta,
    UseTree,
};

/// A path, and where it stands.
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// What a `use` declaration brings into scope, and under what name.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
}

/// All paths of a module, without those of its submodules and tests.
#[derive(Default)]
pub(crate) struct Paths {
    pub(crate) mentions: Vec<Mention>,
    pub(crate) imports: Vec<Import>,
}

/// Whether something is there for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute.meta.require_list().ok();
        let condition = condition.filter(|list| list.path.is_ident("cfg"));
        condition.is_some_and(|list| list.tokens.to_string() == "test")
    })
}

impl Paths {
    /// The paths in the items of a module.
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut paths = Self::default();
        for item in items {
            paths.visit_item(item);
        }
        paths
    }

    fn mention(&mut self, path: Vec<String>, span: Span) {
        let line = span.start().line;
        self.mentions.push(Mention { path, line });
    }

    fn import(&mut self, tree: &UseTree, mut prefix: Vec<String>) {
        let (last, name) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                return self.import(&path.tree, prefix);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix.clone());
                }
                return;
            }
            UseTree::Glob(glob) => return self.mention(prefix, glob.star_token.spans[0]),
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(rename) => (&rename.ident, &rename.rename),
        };
        if last != "self" {
            prefix.push(last.to_string());
        }
        let name = match name == "self" {
            true => prefix.last().cloned().unwrap_or_default(),
            false => name.to_string(),
        };
        self.mention(prefix.clone(), last.span());
        self.imports.push(Import { name, path: prefix });
    }

    /// Takes what looks like a path from tokens that only a macro can read.
    fn scan(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Literal(literal) => self.scan_text(&Lit::new(literal)),
                TokenTree::Punct(_) => {}
                TokenTree::Ident(first) => {
                    let span = first.span();
                    let mut path = vec![first.to_string()];
                    while let Some(next) = next_segment(&mut tokens) {
                        path.push(next.to_string());
                    }
                    self.mention(path, span);
                }
            }
        }
    }

    /// Serde's attributes name functions in texts.
    fn scan_text(&mut self, literal: &Lit) {
        if let Lit::Str(text) = literal
            && let Ok(path) = text.parse::<syn::Path>()
        {
            self.visit_path(&path);
        }
    }
}

/// The name after the next `::`.
fn next_segment(
    tokens: &mut std::iter::Peekable<proc_macro2::token_stream::IntoIter>,
) -> Option<Ident> {
    for _ in 0..2 {
        tokens
            .next_if(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':'))?;
    }
    match tokens.next_if(|token| matches!(token, TokenTree::Ident(_)))? {
        TokenTree::Ident(ident) => Some(ident),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            let names = segments.map(|segment| segment.ident.to_string());
            let first = path.segments.first().expect("a path has segments");
            self.mention(names.collect(), first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) && item.leading_colon.is_none() {
            self.import(&item.tree, Vec::new());
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }
}
