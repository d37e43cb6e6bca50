//! Ending lives.

use std::sync::Arc;

use parking_lot::RwLockWriteGuard;
use region_core::{EndTerms, Ended, Event, RegionPath, Trust, Verb};

use super::Data;
use super::node::{Node, State};

impl Data {
    pub(crate) fn end(&self, path: &RegionPath, terms: EndTerms) -> Ended {
        let source = self.events.source();
        match terms.verb {
            Verb::Invalidate => self.invalidate(path),
            Verb::Expire => self.expire(path),
            Verb::Touch | Verb::InvalidateAndTouch => self.touch(path, terms.verb),
        }
        let kept = (terms.trust == Trust::Kept).then(|| self.node(path)).flatten();
        match kept {
            Some(node) => {
                let state = node.state.read();
                let view = self.look(&node, &state);
                let changes = state.changes(&view);
                Ended::new().lineage(Some(view.lineage)).changes(changes).source(Some(source))
            }
            None => Ended::new().source(Some(source)),
        }
    }

    /// A region that is missing has nothing below it either: a child keeps its parent's node.
    fn invalidate(&self, path: &RegionPath) {
        match self.node(path) {
            Some(node) => self.end_life(&node, &mut node.state.write()),
            None => self.events.push(Event::Lineage, path),
        }
    }

    pub(super) fn end_life(&self, node: &Node, state: &mut RwLockWriteGuard<'_, State>) {
        // This one store ends the whole subtree; the rest only frees what cannot be reached.
        let change = |node: &Node| node.set_tree(self.ids.draw());
        node.change_ids(change, || self.events.push(Event::Lineage, &node.path));
        self.drop_entries(state);
        state.leases.clear();
        state.children.under = None;
        // A new table draws a seed for its hash: not where there is nothing to take.
        if state.children.segments.capacity() > 0 {
            self.discarded.push_children(std::mem::take(&mut state.children.segments));
        }
    }

    /// Locks the region and its ancestors from the leaf to the root, changes each, and unlocks them:
    /// no reader sees some of them changed and others not. All touches lock in this order, and
    /// nothing else locks two states, so they never wait for one another in a circle.
    fn touch(&self, path: &RegionPath, verb: Verb) {
        let Some(node) = self.nearest(path) else { return };
        let nodes: Vec<Arc<Node>> = node.upwards().collect();
        let mut states: Vec<_> = nodes.iter().map(|node| node.state.write()).collect();
        for (node, state) in nodes.iter().zip(&mut states) {
            if verb.changes_lineage() && node.path == *path {
                self.end_life(node, state);
            } else {
                self.drop_entries(state);
                state.leases.clear();
            }
        }
        for node in &nodes {
            self.events.push(Event::Entries, &node.path);
        }
    }

    /// The region's node, or that of the nearest region around it that exists.
    fn nearest(&self, path: &RegionPath) -> Option<Arc<Node>> {
        let mut nearest = Some(path.clone());
        while let Some(path) = nearest {
            if let Some(node) = self.node(&path) {
                return Some(node);
            }
            nearest = path.parent();
        }
        None
    }

    fn expire(&self, path: &RegionPath) {
        let tell = || self.events.push(Event::Lineage, path);
        match self.node(path) {
            Some(node) => {
                let change =
                    |node: &Node| node.expire(self.ids.draw(), self.now(), &self.expirations);
                node.change_ids(change, tell);
            }
            None => tell(),
        }
    }
}
