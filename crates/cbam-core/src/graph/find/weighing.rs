//! What weighs a picture's features, and is neither a gate nor attention that can be laid over the picture: it is named, not passed over.

use std::collections::HashSet;

use super::super::program::{Node, Value};
use super::walk::MAX_STEPS;
use super::{Find, names};

/// Where one value is multiplied with another.
const PRODUCTS: [&str; 8] = ["mul", "matmul", "mm", "bmm", "baddbmm", "einsum", "addcmul", "lerp"];

const SOFTMAX: &str = "a softmax there weighs what are no patches of one grid, such as branches, channels or windows";
const SIGMOID: &str = "a sigmoid there is multiplied with what are no maps of channels and places, or not by itself";

impl Find<'_> {
    /// The modules of softmaxes and sigmoids whose result is multiplied with features, but for the nodes at the places that are `known`;
    /// and why.
    pub(super) fn weighing(&self, known: &HashSet<usize>) -> Vec<(String, &'static str)> {
        let depends = self.depends();
        let mut found: Vec<(String, &'static str)> = Vec::new();
        for (_, node) in self.graph.nodes.iter().enumerate().filter(|(place, _)| !known.contains(place)) {
            let why = match node.bare() {
                "softmax" | "_softmax" => SOFTMAX,
                "sigmoid" | "hardsigmoid" => SIGMOID,
                _ => continue,
            };
            let entry = (names::of(node), why);
            if self.weighs(node, &depends) && !found.contains(&entry) {
                found.push(entry);
            }
        }
        found
    }

    /// Whether an activation's result is multiplied with features that depend on the picture, and are not what it is of.
    fn weighs(&self, node: &Node, depends: &[bool]) -> bool {
        let (Some(value), Some(of)) = (node.makes().next(), node.takes().next()) else { return false };
        let elements = self.shape(value).map_or(0, |shape| shape.iter().product::<i64>());
        // One number for each picture says nothing of where it looks.
        if !depends[value.index()] || elements <= self.batch().unwrap_or(1) {
            return false;
        }
        // What a softmax makes is shares, whatever they are shares of; sigmoids are in boxes and scores too.
        let shares = node.bare().ends_with("softmax");
        let features = |other: Value| {
            let rank = self.shape(other).map_or(0, <[i64]>::len);
            let are = self.form(other).is_some() || rank >= if shares { 3 } else { 4 };
            are && depends[other.index()] && !self.is_itself(other, of)
        };
        let (mut open, mut seen) = (vec![value], Vec::new());
        while let Some(at) = open.pop() {
            if seen.contains(&at) || seen.len() > MAX_STEPS {
                continue;
            }
            seen.push(at);
            for user in self.users(at) {
                if PRODUCTS.contains(&user.bare()) && user.takes().any(|other| other != at && features(other)) {
                    return true;
                }
                // Heads that are mixed with one another are shares still.
                let mixes = shares
                    && matches!(user.bare(), "conv2d" | "convolution" | "linear")
                    && user.makes().any(|made| self.shape(made) == self.shape(at));
                if (user.carries().is_some() || mixes) && user.takes().next() == Some(at) {
                    open.extend(user.makes());
                }
            }
        }
        false
    }
}
