//! One file with all its mutants.

use std::{collections::HashMap, fmt::Write as _, ops::Range};

use proc_macro2::Span;
use syn::{
    BinOp, Expr, UnOp,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::mutants::{Mutant, Skip};

/// The file with all mutants, but those that are to be skipped. What became of each is printed.
pub(crate) fn weave(source: &str, mutants: &[Mutant], skip: &Skip) -> Result<String, syn::Error> {
    let file = syn::parse_file(source)?;
    let mut weaver = Weaver {
        source,
        skip,
        sleeping: HashMap::new(),
        edits: Vec::new(),
        constant: false,
    };
    let mut fates: HashMap<usize, &str> = HashMap::new();
    for mutant in mutants {
        fates.insert(mutant.number, "not found");
        if skip.mutant(mutant.number) {
            fates.insert(mutant.number, "skipped");
        } else {
            let key = (mutant.genre.clone(), mutant.start);
            weaver.sleeping.entry(key).or_default().push(mutant);
        }
    }
    weaver.visit_file(&file);
    for edit in &weaver.edits {
        for number in &edit.numbers {
            fates.insert(*number, edit.fate);
        }
    }
    for mutant in mutants {
        println!("{} {}", mutant.number, fates[&mutant.number]);
    }
    Ok(apply(source, weaver.edits))
}

/// Text before and after a part of the source, which may hold further edits.
struct Edit {
    part: Range<usize>,
    before: String,
    after: String,
    numbers: Vec<usize>,
    fate: &'static str,
}

/// Outer edits come before inner ones, as they were visited.
fn apply(source: &str, edits: Vec<Edit>) -> String {
    // Position; at one position, what ends comes before what begins, inner ends before outer ends and outer beginnings before inner ones.
    let mut texts: Vec<(usize, bool, isize, String)> = Vec::new();
    for (order, edit) in (0isize..).zip(edits) {
        texts.push((edit.part.start, true, order, edit.before));
        if !edit.part.is_empty() {
            texts.push((edit.part.end, false, -order, edit.after));
        }
    }
    texts.sort_by_key(|text| (text.0, text.1, text.2));
    let (mut woven, mut done) = (String::new(), 0);
    for (at, _, _, text) in texts {
        woven.push_str(&source[done..at]);
        woven.push_str(&text);
        done = at;
    }
    woven.push_str(&source[done..]);
    woven
}

struct Weaver<'a> {
    source: &'a str,
    skip: &'a Skip,
    sleeping: HashMap<(String, (usize, usize)), Vec<&'a Mutant>>,
    edits: Vec<Edit>,
    /// Whether what is visited is worked out by the compiler, who knows of no switch.
    constant: bool,
}

impl<'a> Weaver<'a> {
    fn take(&mut self, genre: &str, span: Span) -> Vec<&'a Mutant> {
        let start = (span.start().line, span.start().column);
        self.sleeping
            .remove(&(genre.to_owned(), start))
            .unwrap_or_default()
    }

    fn fate(&self) -> &'static str {
        if self.constant { "constant" } else { "woven" }
    }

    fn edit(&mut self, part: Range<usize>, before: String, after: &str, mutants: &[&Mutant]) {
        if mutants.is_empty() {
            return;
        }
        let fate = self.fate();
        let nothing = String::new();
        let (before, after) = match self.constant {
            true => (nothing.clone(), nothing),
            false => (before, after.to_owned()),
        };
        self.edits.push(Edit {
            part,
            before,
            after,
            numbers: mutants.iter().map(|mutant| mutant.number).collect(),
            fate,
        });
    }

    fn leave(&mut self, mutants: &[&Mutant], fate: &'static str) {
        self.edits.push(Edit {
            part: 0..0,
            before: String::new(),
            after: String::new(),
            numbers: mutants.iter().map(|mutant| mutant.number).collect(),
            fate,
        });
    }

    /// An expression that is another one if a mutant is awake. `other` is where its replacement goes.
    fn choose(&mut self, whole: Range<usize>, other: Range<usize>, mutants: &[&Mutant]) {
        let mut before = "(".to_owned();
        for mutant in mutants {
            let _ = write!(
                before,
                "if {} {{{}}} else ",
                call(mutant),
                marked(
                    mutant,
                    &[
                        &self.source[whole.start..other.start],
                        &mutant.replacement,
                        &self.source[other.end..whole.end]
                    ]
                    .concat()
                )
            );
        }
        before.push_str("{ ");
        self.edit(whole, before, " })", mutants);
    }

    fn within(&mut self, constant: bool, visit: impl FnOnce(&mut Self)) {
        let before = self.constant;
        self.constant |= constant;
        visit(self);
        self.constant = before;
    }

    /// What a body gives back, and that the function is no longer `const`.
    fn function(
        &mut self,
        signature: &syn::Signature,
        block: &syn::Block,
        visit: impl FnOnce(&mut Self),
    ) {
        let stays = self.skip.constant(&signature.ident.to_string());
        if let Some(constant) = &signature.constness
            && !stays
        {
            let part = constant.span().byte_range();
            self.edits.push(Edit {
                part,
                before: "/*".to_owned(),
                after: "*/".to_owned(),
                numbers: Vec::new(),
                fate: "woven",
            });
        }
        // `-> impl Iterator` is one type, whichever mutant is awake.
        let output = signature.output.span().byte_range();
        let opaque = self.source[output].contains("impl ");
        self.within(stays && signature.constness.is_some(), |weaver| {
            if let Some(first) = block.stmts.first() {
                let mutants = weaver.take("FnValue", first.span());
                let start = first.span().byte_range().start;
                let mut before = String::new();
                for mutant in &mutants {
                    let value = marked(mutant, &format!("return {};", mutant.replacement));
                    let _ = write!(before, "if {} {{{value}}} ", call(mutant));
                }
                if opaque {
                    weaver.leave(&mutants, "opaque");
                } else {
                    weaver.edit(start..start, before, "", &mutants);
                }
            }
            visit(weaver);
        });
    }
}

impl<'ast> Visit<'ast> for Weaver<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block, |weaver| {
            visit::visit_item_fn(weaver, item)
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block, |weaver| {
            visit::visit_impl_item_fn(weaver, item)
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        match &item.default {
            Some(block) => {
                self.function(&item.sig, block, |weaver| {
                    visit::visit_trait_item_fn(weaver, item)
                });
            }
            None => visit::visit_trait_item_fn(self, item),
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.within(true, |weaver| visit::visit_item_const(weaver, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.within(true, |weaver| visit::visit_impl_item_const(weaver, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.within(true, |weaver| visit::visit_item_static(weaver, item));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.within(true, |weaver| visit::visit_variant(weaver, variant));
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.within(true, |weaver| visit::visit_type_array(weaver, array));
    }

    fn visit_expr_const(&mut self, block: &'ast syn::ExprConst) {
        self.within(true, |weaver| visit::visit_expr_const(weaver, block));
    }

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
        self.within(true, |weaver| weaver.visit_expr(&repeat.len));
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let mutants = self.take("BinaryOperator", binary.op.span());
        // `||` with `let` is no expression.
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let (whole, operator) = (binary.span().byte_range(), binary.op.span().byte_range());
            self.choose(whole, operator, &mutants);
        } else {
            self.leave(&mutants, "unviable");
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let mutants = self.take("UnaryOperator", unary.op.span());
            let (whole, operator) = (unary.span().byte_range(), unary.op.span().byte_range());
            self.choose(whole, operator, &mutants);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        let whole = literal.span().byte_range();
        for field in &literal.fields {
            let mutants = self.take("StructField", field.span());
            let mut part = field.span().byte_range();
            // With the comma behind it.
            let rest = &self.source[part.end..whole.end];
            let behind = rest.len() - rest.trim_start().len();
            if rest.trim_start().starts_with(',') {
                part.end += behind + 1;
            }
            self.choose(whole.clone(), part, &mutants);
        }
        visit::visit_expr_struct(self, literal);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let deleted = self.take("MatchArm", arm.span());
        match &arm.guard {
            Some((_, guard)) if has_let(guard) => {}
            Some((_, guard)) => {
                let part = guard.span().byte_range();
                if let [mutant, ..] = deleted[..] {
                    self.edit(
                        part.clone(),
                        format!("!{} && ( ", call(mutant)),
                        " )",
                        &deleted,
                    );
                }
                let replaced = self.take("MatchArmGuard", guard.span());
                self.choose(part.clone(), part, &replaced);
            }
            None => {
                let end = arm.pat.span().byte_range().end;
                if let [mutant, ..] = deleted[..] {
                    self.edit(end..end, format!(" if !{}", call(mutant)), "", &deleted);
                }
            }
        }
        visit::visit_arm(self, arm);
    }
}

fn call(mutant: &Mutant) -> String {
    format!("::mqtt_proto::switch::mutant({})", mutant.number)
}

/// Between marks, so that what the compiler says of it can be charged to it.
fn marked(mutant: &Mutant, text: &str) -> String {
    format!("/*<{}*/ {text} /*{}>*/", mutant.number, mutant.number)
}

fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => {
            matches!(binary.op, BinOp::And(_)) && (has_let(&binary.left) || has_let(&binary.right))
        }
        _ => false,
    }
}
