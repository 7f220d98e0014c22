//! Matches a raw path: a tree over segments that goes back where a more particular branch leads nowhere.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method as Verb;

use super::template::{Piece, decode};
use super::{Found, Route, RouteError};

/// Every route, by segment.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    routes: Vec<Arc<Route>>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    single: Option<usize>,
    /// Routes that end with `**` here.
    rest: Vec<Leaf>,
    /// Routes that end here.
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    /// The `:verb` of the path.
    suffix: Option<Box<str>>,
    /// The HTTP verb; any without.
    verb: Option<Verb>,
    route: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], routes: Vec::new() }
    }
}

impl Tree {
    /// Adds a route; one that could never be told from an earlier one is refused.
    pub(super) fn insert(&mut self, (verb, route): (Option<Verb>, Route)) -> Result<(), RouteError> {
        let mut at = 0;
        let mut rest = false;
        for piece in &route.template.pieces {
            at = match piece {
                Piece::Rest => {
                    rest = true;
                    break;
                }
                Piece::Single => match self.nodes[at].single {
                    Some(next) => next,
                    None => {
                        let next = self.add_node();
                        self.nodes[at].single = Some(next);
                        next
                    }
                },
                Piece::Literal(text) => match self.nodes[at].literals.get(text) {
                    Some(&next) => next,
                    None => {
                        let next = self.add_node();
                        self.nodes[at].literals.insert(text.clone(), next);
                        next
                    }
                },
            };
        }
        let suffix = route.template.verb.clone();
        let leaves = if rest { &self.nodes[at].rest } else { &self.nodes[at].leaves };
        if let Some(other) =
            leaves.iter().find(|leaf| leaf.suffix == suffix && leaf.verb == verb).map(|leaf| leaf.route)
        {
            // A streaming twin may repeat the rule of the method that it is a twin of: the route is the same.
            if self.routes[other].has_twin(&route) {
                return Ok(());
            }
            if route.has_twin(&self.routes[other]) {
                self.routes[other] = Arc::new(route);
                return Ok(());
            }
            let other = self.routes[other].method.full_name();
            return Err(RouteError::new(
                route.method.full_name(),
                format!("its HTTP rule matches the same requests as the one of {other}"),
            ));
        }
        let leaf = Leaf { suffix, verb, route: self.routes.len() };
        let node = &mut self.nodes[at];
        if rest {
            node.rest.push(leaf)
        } else {
            node.leaves.push(leaf)
        }
        self.routes.push(Arc::new(route));
        Ok(())
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    pub(super) fn first(&self) -> Option<&Arc<Route>> {
        self.routes.first()
    }

    pub(super) fn find(&self, verb: &Verb, path: &str) -> Found<'_> {
        let mut allowed = Vec::new();
        let Some(rest) = path.strip_prefix('/') else {
            return Found::Nothing;
        };
        match self.walk(0, Some(rest), verb, &mut allowed) {
            Some(route) => Found::Route(&self.routes[route]),
            None if allowed.is_empty() => Found::Nothing,
            None => Found::WrongVerb(allowed),
        }
    }

    /// Matches what is left of the path below a node. Verbs under which the path would match are noted in `allowed`.
    fn walk(&self, at: usize, left: Option<&str>, verb: &Verb, allowed: &mut Vec<Verb>) -> Option<usize> {
        let node = &self.nodes[at];
        if let Some(left) = left {
            let (segment, after) = match left.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (left, None),
            };
            if !segment.is_empty() {
                if let Some(found) = self.step(node, segment, after, verb, allowed) {
                    return Some(found);
                }
                // Only the last segment may carry a `:verb`.
                if after.is_none()
                    && let Some((segment, suffix)) = segment.rsplit_once(':')
                    && !segment.is_empty()
                {
                    let next = [self.literal(node, segment), node.single];
                    for next in next.into_iter().flatten() {
                        if let Some(found) = pick(&self.nodes[next].leaves, Some(suffix), verb, allowed) {
                            return Some(found);
                        }
                    }
                }
            }
        } else if let Some(found) = pick(&node.leaves, None, verb, allowed) {
            return Some(found);
        }
        if let Some((_, suffix)) = left.and_then(|left| left.rsplit('/').next()).and_then(|last| last.rsplit_once(':'))
            && let Some(found) = pick(&node.rest, Some(suffix), verb, allowed)
        {
            return Some(found);
        }
        pick(&node.rest, None, verb, allowed)
    }

    /// Goes on below the literal child, then below the wildcard.
    fn step(
        &self,
        node: &Node,
        segment: &str,
        after: Option<&str>,
        verb: &Verb,
        allowed: &mut Vec<Verb>,
    ) -> Option<usize> {
        if let Some(next) = self.literal(node, segment)
            && let Some(found) = self.walk(next, after, verb, allowed)
        {
            return Some(found);
        }
        self.walk(node.single?, after, verb, allowed)
    }

    fn literal(&self, node: &Node, segment: &str) -> Option<usize> {
        if segment.contains('%') {
            return node.literals.get(&*decode(segment).ok()?).copied();
        }
        node.literals.get(segment).copied()
    }
}

fn pick(leaves: &[Leaf], suffix: Option<&str>, verb: &Verb, allowed: &mut Vec<Verb>) -> Option<usize> {
    let mut any = None;
    for leaf in leaves.iter().filter(|leaf| leaf.suffix.as_deref() == suffix) {
        match &leaf.verb {
            Some(own) if own == verb => return Some(leaf.route),
            Some(own) => {
                if !allowed.contains(own) {
                    allowed.push(own.clone());
                }
            }
            None => any = Some(leaf.route),
        }
    }
    any
}
