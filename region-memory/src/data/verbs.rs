//! Ending lives.

use std::sync::Arc;

use region_core::{Event, RegionPath, Verb};

use super::{Data, Loss};
use crate::node::Node;

impl Data {
    pub(crate) fn end(&self, path: &RegionPath, verb: Verb) {
        match verb {
            Verb::Invalidate => self.invalidate(path),
            Verb::Touch => self.touch(path),
            Verb::Expire => self.expire(path),
            Verb::InvalidateAndTouch => self.invalidate_and_touch(path),
        }
    }

    /// A region that is not born has nothing below it either: a child keeps its parent's node.
    fn invalidate(&self, path: &RegionPath) {
        if let Some(node) = self.node(path) {
            self.end_life(&node);
        }
        self.events.push(Event::Lineage, path);
    }

    fn end_life(&self, node: &Node) {
        // This one store ends the whole subtree; the rest only frees what cannot be reached.
        node.set_tree(self.ids.draw());
        let mut state = node.state.write();
        self.bury(&mut state);
        state.leases.clear();
        let children = std::mem::take(&mut state.children.segments);
        state.children.under = None;
        drop(state);
        self.sweep.bury_children(children);
    }

    /// Locks the region and its ancestors from the leaf to the root, changes each, and unlocks them:
    /// no reader sees some of them changed and others not. All touches lock in this order, and
    /// nothing else locks two states, so they never wait for one another in a circle.
    fn touch(&self, path: &RegionPath) {
        self.touch_and(path, |_| ());
    }

    fn invalidate_and_touch(&self, path: &RegionPath) {
        self.touch_and(path, |node| {
            if node.path == *path {
                node.set_tree(self.ids.draw());
            }
        });
        self.invalidate(path);
    }

    fn touch_and(&self, path: &RegionPath, also: impl Fn(&Node)) {
        let mut nearest = Some(path.clone());
        let node = loop {
            match nearest {
                None => return,
                Some(path) => match self.node(&path) {
                    Some(node) => break node,
                    None => nearest = path.parent(),
                },
            }
        };
        let nodes: Vec<Arc<Node>> = node.upwards().collect();
        let mut states: Vec<_> = nodes.iter().map(|node| node.state.write()).collect();
        also(&node);
        for state in &mut states {
            self.bury(state);
            state.leases.clear();
        }
        drop(states);
        for node in &nodes {
            self.events.push(Event::Entries, &node.path);
        }
    }

    fn expire(&self, path: &RegionPath) {
        if let Some(node) = self.node(path) {
            node.expire(self.ids.draw(), self.now(), &self.expirations);
        }
        self.events.push(Event::Lineage, path);
    }

    pub(crate) fn lose(&self, path: &RegionPath, loss: Loss) {
        let Some(node) = self.node(path) else { return };
        match loss {
            Loss::Incarnations => {
                self.end_life(&node);
                node.expire(self.ids.draw(), self.now(), &self.expirations);
            }
            Loss::Entries => self.bury(&mut node.state.write()),
            Loss::Leases => node.state.write().leases.clear(),
        }
        self.events.push(Event::Lineage, path);
    }

    /// Every region is born anew. The nodes stay, for others may be about to use them.
    pub(crate) fn flush(&self) {
        for node in self.all_nodes() {
            self.lose(&node.path, Loss::Incarnations);
        }
        self.events.push_all();
    }
}
