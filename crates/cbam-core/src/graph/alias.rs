//! Values that share their elements, and operations that write over what they take.

use std::collections::HashMap;
use std::sync::Arc;

use super::program::{About, Argument, Graph, Node, Scalar, Value};

/// More values than share elements in any network; where there are more, what writes over them stays as it is.
const MAX_SHARING: usize = 4096;

impl Graph {
    /// For each value, by its number, the first of those that may share their elements with it.
    pub fn roots(&self) -> Vec<Value> {
        let mut roots: Vec<Value> = (0..self.values.len()).map(|value| Value(value as u32)).collect();
        for node in &self.nodes {
            let Some(of) = node.takes().next().filter(|_| node.shares()) else { continue };
            for value in node.makes() {
                roots[value.index()] = roots[of.index()];
            }
        }
        roots
    }

    /// Makes operations that write over what they take such as make something new, wherever nobody could tell: where what they write
    /// over has no other name that is looked at after them.
    pub(super) fn without_writes(&mut self) {
        if !self.nodes.iter().any(Node::writes) {
            return;
        }
        let (roots, users, makers) = (self.roots(), self.users(), self.makers());
        let mut sharing: HashMap<Value, Vec<Value>> = HashMap::new();
        for (value, root) in roots.iter().enumerate() {
            sharing.entry(*root).or_default().push(Value(value as u32));
        }
        let is_output = |value: Value| self.outputs.iter().any(|output| output.value == Some(value));
        let looked_at = |value: Value, after: usize| {
            is_output(value) || users[value.index()].last().is_some_and(|last| *last > after)
        };
        // What the results of writing are called, before they are written over in their turn.
        let mut new_names: HashMap<Value, Value> = HashMap::new();
        let mut changes = Vec::new();
        let mut results: Vec<Option<Value>> = vec![None; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.writes()) {
            let Some(to) = node.takes().next() else { continue };
            let result = node.makes().next();
            if sharing[&roots[to.index()]].len() > MAX_SHARING {
                continue;
            }
            let mut others =
                sharing[&roots[to.index()]].iter().filter(|other| **other != to && Some(**other) != result);
            // What is made after it is made of its result.
            if !others.any(|other| looked_at(*other, place) && makers[other.index()].is_none_or(|maker| maker < place))
            {
                changes.push(place);
                results[place] = result;
            }
        }
        for place in changes {
            if results[place].is_none() {
                self.values.push(About::default());
                let result = Value(self.values.len() as u32 - 1);
                results[place] = Some(result);
                self.nodes[place].outputs = vec![Some(result)];
            }
        }
        for (place, result) in results.iter().enumerate() {
            let node = &mut self.nodes[place];
            for (_, argument) in &mut node.inputs {
                rename(argument, &new_names);
            }
            let to = node.takes().next();
            if let (Some(result), Some(to)) = (result, to) {
                node.operator = plain(&node.operator);
                // Whoever takes what was written over takes the result from here on.
                for name in new_names.values_mut().filter(|name| **name == to) {
                    *name = *result;
                }
                new_names.insert(to, *result);
            }
        }
        for output in &mut self.outputs {
            output.value = output.value.map(|value| new_names.get(&value).copied().unwrap_or(value));
        }
    }
}

fn rename(argument: &mut Argument, names: &HashMap<Value, Value>) {
    let scalars = match argument {
        Argument::One(one) => std::slice::from_mut(one),
        Argument::Several(several) => several,
        _ => return,
    };
    for scalar in scalars {
        if let Scalar::Value(value) = scalar
            && let Some(name) = names.get(value)
        {
            *value = *name;
        }
    }
}

/// `aten.relu.default` of `aten.relu_.default`.
fn plain(operator: &str) -> Arc<str> {
    match operator.rsplit_once('.') {
        Some((kind, overload)) => format!("{}.{overload}", kind.strip_suffix('_').unwrap_or(kind)).into(),
        None => operator.into(),
    }
}
