//! Matches a raw path: a tree over segments that goes back where a more particular branch leads nowhere.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method as Verb;

use super::segment_hash::SegmentHash;
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
    literals: HashMap<Box<str>, usize, SegmentHash>,
    single: Option<usize>,
    /// Routes that go on with `**` here; those with the longest tail first.
    rest: Vec<Tail>,
    /// Routes that end here.
    leaves: Vec<Leaf>,
}

/// What stands behind `**`, up to the end of the path, and the routes that end so.
#[derive(Debug)]
struct Tail {
    pieces: Box<[Piece]>,
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
    pub(super) fn insert(&mut self, route: Route) -> Result<(), RouteError> {
        let verb = route.verb.clone();
        let pieces = &route.template.pieces;
        let rest = pieces.iter().position(|piece| *piece == Piece::Rest);
        let mut at = 0;
        for piece in &pieces[..rest.unwrap_or(pieces.len())] {
            at = match piece {
                Piece::Literal(text) => match self.nodes[at].literals.get(text) {
                    Some(&next) => next,
                    None => {
                        let next = self.add_node();
                        self.nodes[at].literals.insert(text.clone(), next);
                        next
                    }
                },
                Piece::Single | Piece::Rest => match self.nodes[at].single {
                    Some(next) => next,
                    None => {
                        let next = self.add_node();
                        self.nodes[at].single = Some(next);
                        next
                    }
                },
            };
        }
        let leaves = match rest {
            None => &mut self.nodes[at].leaves,
            Some(rest) => self.nodes[at].tail(&pieces[rest + 1..]),
        };
        let suffix = route.template.verb.clone();
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
        // A rule for any verb comes last: one for the verb itself is more particular.
        let at = if verb.is_some() { leaves.partition_point(|leaf| leaf.verb.is_some()) } else { leaves.len() };
        leaves.insert(at, Leaf { suffix, verb, route: self.routes.len() });
        self.routes.push(Arc::new(route));
        Ok(())
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    pub(super) fn all(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The first route on this path, under whatever verb, that `wanted` takes.
    pub(super) fn find_any(&self, path: &str, wanted: impl Fn(&Route) -> bool) -> Option<&Arc<Route>> {
        let mut leaves = Vec::new();
        self.walk(0, Some(path.strip_prefix('/')?), &mut |leaf| {
            leaves.push(leaf.route);
            None
        });
        leaves.into_iter().map(|route| &self.routes[route]).find(|route| wanted(route))
    }

    pub(super) fn find(&self, verb: &Verb, path: &str) -> Found<'_> {
        let mut allowed = Vec::new();
        let Some(rest) = path.strip_prefix('/') else {
            return Found::Nothing;
        };
        let found = self.walk(0, Some(rest), &mut |leaf| match &leaf.verb {
            Some(own) if own != verb => {
                if !allowed.contains(own) {
                    allowed.push(own.clone());
                }
                None
            }
            _ => Some(leaf.route),
        });
        match found {
            Some(route) => Found::Route(&self.routes[route]),
            None if allowed.is_empty() => Found::Nothing,
            None => Found::WrongVerb(allowed),
        }
    }

    /// Offers every leaf that what is left of the path leads to, the most particular first, until one is taken.
    fn walk(&self, at: usize, left: Option<&str>, take: &mut impl FnMut(&Leaf) -> Option<usize>) -> Option<usize> {
        let node = &self.nodes[at];
        if let Some(left) = left {
            let (segment, after) = match left.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (left, None),
            };
            if !segment.is_empty() {
                // Only the last segment may carry a `:verb`. One that a rule names is never a part of a variable.
                if after.is_none()
                    && let Some((segment, suffix)) = segment.rsplit_once(':')
                    && !segment.is_empty()
                {
                    let next = [self.literal(node, segment), node.single];
                    for next in next.into_iter().flatten() {
                        let node = &self.nodes[next];
                        // `**` may stand for no segment at all: then the verb is on the segment before it.
                        let none = node.rest.iter().filter(|tail| tail.pieces.is_empty()).map(|tail| &tail.leaves);
                        for leaves in std::iter::once(&node.leaves).chain(none) {
                            if let Some(found) = pick(leaves, Some(suffix), take) {
                                return Some(found);
                            }
                        }
                    }
                }
                let next = [self.literal(node, segment), node.single];
                for next in next.into_iter().flatten() {
                    if let Some(found) = self.walk(next, after, take) {
                        return Some(found);
                    }
                }
            }
        } else if let Some(found) = pick(&node.leaves, None, take) {
            return Some(found);
        }
        if node.rest.is_empty() {
            return None;
        }
        let verb = left.and_then(|left| left.rsplit('/').next()?.rsplit_once(':')).map(|(_, verb)| verb);
        let without = verb.zip(left).map(|(verb, left)| &left[..left.len() - verb.len() - 1]);
        for tail in &node.rest {
            if verb.is_some()
                && tail.ends(without)
                && let Some(found) = pick(&tail.leaves, verb, take)
            {
                return Some(found);
            }
            if tail.ends(left)
                && let Some(found) = pick(&tail.leaves, None, take)
            {
                return Some(found);
            }
        }
        None
    }

    fn literal(&self, node: &Node, segment: &str) -> Option<usize> {
        if node.literals.is_empty() {
            return None;
        }
        if segment.contains('%') {
            return node.literals.get(&*decode(segment).ok()?).copied();
        }
        node.literals.get(segment).copied()
    }
}

impl Node {
    /// The leaves behind this tail, made where there are none yet.
    fn tail(&mut self, pieces: &[Piece]) -> &mut Vec<Leaf> {
        let at = match self.rest.iter().position(|tail| *tail.pieces == *pieces) {
            Some(at) => at,
            None => {
                let at = self.rest.partition_point(|tail| tail.rank() >= rank(pieces));
                self.rest.insert(at, Tail { pieces: pieces.into(), leaves: Vec::new() });
                at
            }
        };
        &mut self.rest[at].leaves
    }
}

impl Tail {
    fn rank(&self) -> (usize, usize) {
        rank(&self.pieces)
    }

    /// Whether what is left of a path ends in these pieces.
    fn ends(&self, left: Option<&str>) -> bool {
        if self.pieces.is_empty() {
            return true;
        }
        let Some(left) = left else { return false };
        let mut segments = left.rsplit('/');
        self.pieces.iter().rev().all(|piece| match (piece, segments.next()) {
            (Piece::Literal(text), Some(segment)) => {
                **text == *segment || (segment.contains('%') && decode(segment).is_ok_and(|segment| segment == **text))
            }
            (_, Some(segment)) => !segment.is_empty(),
            (_, None) => false,
        })
    }
}

/// How particular a tail is: its length, then how much of it is literal.
fn rank(pieces: &[Piece]) -> (usize, usize) {
    (pieces.len(), pieces.iter().filter(|piece| matches!(piece, Piece::Literal(_))).count())
}

fn pick(leaves: &[Leaf], suffix: Option<&str>, take: &mut impl FnMut(&Leaf) -> Option<usize>) -> Option<usize> {
    leaves.iter().filter(|leaf| leaf.suffix.as_deref() == suffix).find_map(take)
}
