//! The expressions that sides of tensors are in, as `SymPy` writes them.

/// More brackets than a side has.
const MAX_DEPTH: usize = 16;

/// `step × symbol + offset`.
#[derive(Debug, PartialEq)]
pub(super) struct Linear {
    pub(super) step: i64,
    pub(super) symbol: String,
    pub(super) offset: i64,
}

/// A number, or a linear expression.
#[derive(Debug)]
enum Term {
    Number(i64),
    Linear(Linear),
}

/// `Mul(Integer(32), Symbol('s27', positive=True, integer=True))`, or `32*s27`, as 32, `s27`, 0; `None` for what is not of that form.
pub(super) fn linear(text: &str) -> Option<Linear> {
    let text = text.trim();
    let term = if text.contains('(') { call(text, 0)? } else { plain(text)? };
    if let Term::Linear(linear) = term { Some(linear).filter(|linear| linear.step > 0) } else { None }
}

/// A call, as `sympy.srepr` writes it.
fn call(text: &str, depth: usize) -> Option<Term> {
    let (name, arguments) = text.trim().strip_suffix(')')?.split_once('(')?;
    if depth > MAX_DEPTH {
        return None;
    }
    match name {
        "Integer" => arguments.trim().parse().ok().map(Term::Number),
        "Symbol" => {
            let symbol = arguments.split(',').next()?.trim().trim_matches('\'');
            Some(Term::Linear(Linear { step: 1, symbol: symbol.to_owned(), offset: 0 }))
        }
        "Mul" | "Add" => {
            let terms = split(arguments, ',').into_iter().map(|argument| call(argument, depth + 1));
            let join = if name == "Mul" { product } else { sum };
            terms.reduce(|a, b| join(a?, b?))?
        }
        _ => None,
    }
}

/// As Python writes it: `32*s27 + 1`.
fn plain(text: &str) -> Option<Term> {
    let factor = |text: &str| {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Some(Term::Number(number));
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(letters);
        named.then(|| Term::Linear(Linear { step: 1, symbol: text.to_owned(), offset: 0 }))
    };
    let text = text.replace(" - ", " + -");
    let term = |text: &str| split(text, '*').into_iter().map(factor).reduce(|a, b| product(a?, b?))?;
    split(&text, '+').into_iter().map(term).reduce(|a, b| sum(a?, b?))?
}

/// The parts of a text between the separators that are in no bracket.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (place, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if c == separator && depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn product(a: Term, b: Term) -> Option<Term> {
    Some(match (a, b) {
        (Term::Number(a), Term::Number(b)) => Term::Number(a.checked_mul(b)?),
        (Term::Number(by), Term::Linear(of)) | (Term::Linear(of), Term::Number(by)) => {
            Term::Linear(Linear { step: of.step.checked_mul(by)?, offset: of.offset.checked_mul(by)?, ..of })
        }
        (Term::Linear(_), Term::Linear(_)) => return None,
    })
}

fn sum(a: Term, b: Term) -> Option<Term> {
    Some(match (a, b) {
        (Term::Number(a), Term::Number(b)) => Term::Number(a.checked_add(b)?),
        (Term::Number(more), Term::Linear(of)) | (Term::Linear(of), Term::Number(more)) => {
            Term::Linear(Linear { offset: of.offset.checked_add(more)?, ..of })
        }
        (Term::Linear(_), Term::Linear(_)) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_read_as_sympy_and_python_write_them() {
        let is = |text: &str, step, symbol: &str, offset| {
            assert_eq!(linear(text), Some(Linear { step, symbol: symbol.to_owned(), offset }), "{text}");
        };
        is("Symbol('s77', positive=True, integer=True)", 1, "s77", 0);
        is("Mul(Integer(32), Symbol('s39', positive=True, integer=True))", 32, "s39", 0);
        is("Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(-1))", 2, "s0", -1);
        is("s27", 1, "s27", 0);
        is("32*s27 + 1", 32, "s27", 1);
        is("4*s1 - 3", 4, "s1", -3);
        for other in [
            "Mul(Symbol('a'), Symbol('b'))",
            "Mod(Symbol('a'), Integer(2))",
            "a*b",
            "7",
            "",
            "Mul(Integer(-1), Symbol('a'))",
            "((((",
            "floor(s0/2)",
        ] {
            assert_eq!(linear(other), None, "{other}");
        }
        assert_eq!(linear(&"Mul(".repeat(1000)), None);
    }
}
