//! Circles among the children of a module.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use petgraph::algo::{astar, tarjan_scc};
use petgraph::graphmap::DiGraphMap;

use super::source::{Name, Source};

/// The children of a module: an edge is where one first names another.
type Siblings<'a> = DiGraphMap<&'a str, Site<'a>>;

/// A line of a file.
#[derive(Clone, Copy)]
struct Site<'a> {
    file: &'a Path,
    line: usize,
}

/// Siblings of which each names the next, and the last one the first.
pub(crate) struct Circle<'a> {
    parent: &'a [String],
    edges: Vec<(&'a str, &'a str, Site<'a>)>,
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("circle of modules in crate")?;
        for module in self.parent {
            write!(f, "::{module}")?;
        }
        for (from, to, Site { file, line }) in &self.edges {
            write!(f, "\n  {from} -> {to}  {}:{line}", file.display())?;
        }
        Ok(())
    }
}

/// A shortest circle of each set of siblings that depend on one another.
pub(crate) fn circles(source: &Source) -> Vec<Circle<'_>> {
    let mut found = Vec::new();
    for (parent, siblings) in graphs(source) {
        let sets = tarjan_scc(&siblings);
        let circles = sets.iter().filter_map(|set| shortest(&siblings, set));
        found.extend(circles.map(|edges| Circle { parent, edges }));
    }
    found
}

/// The graph of the children of each module.
fn graphs(source: &Source) -> BTreeMap<&[String], Siblings<'_>> {
    let mut graphs: BTreeMap<&[String], Siblings<'_>> = BTreeMap::new();
    for (from, module) in &source.modules {
        for mention in &module.mentions {
            let definer = source.definer(from, &mention.path);
            let siblings = definer.and_then(|to| siblings(from, to));
            let Some((parent, from, to)) = siblings else {
                continue;
            };
            let site = Site {
                file: &module.file,
                line: mention.line,
            };
            let graph = graphs.entry(parent).or_default();
            if !graph.contains_edge(from, to) {
                graph.add_edge(from, to, site);
            }
        }
    }
    graphs
}

/// The two siblings that hold two modules, and their parent. There are none where one module holds the other.
fn siblings<'a>(from: &'a Name, to: &'a Name) -> Option<(&'a [String], &'a str, &'a str)> {
    let depth = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    Some((&from[..depth], from.get(depth)?, to.get(depth)?))
}

/// The edges of a shortest circle within a set of siblings.
fn shortest<'a>(
    siblings: &Siblings<'a>,
    set: &[&'a str],
) -> Option<Vec<(&'a str, &'a str, Site<'a>)>> {
    let within = siblings.all_edges().filter(|(from, ..)| set.contains(from));
    let nodes = within.filter_map(|(from, to, _)| {
        let (_, way_back) = astar(siblings, to, |node| node == from, |_| 1, |_| 0)?;
        Some([vec![from], way_back].concat())
    });
    let nodes = nodes.min_by_key(Vec::len)?;
    let edges = nodes.windows(2).map(|pair| {
        let site = siblings[(pair[0], pair[1])];
        (pair[0], pair[1], site)
    });
    Some(edges.collect())
}
