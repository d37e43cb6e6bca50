//! The servers and the root that a command is about.

use std::time::Duration;

use region_cache::{MAX_KEY_BYTES, RedisStore, RedisStoreBuilder, RegionPath};

use crate::args::Common;
use crate::exit::Failure;

/// The text for the root, where a path is asked for or printed.
pub(crate) const ROOT: &str = ".";

/// The text for a region that the root lies in.
const ABOVE: &str = "..";

/// The name of the connections in the server's `CLIENT LIST`.
const CLIENT_NAME: &str = "region-cli";

/// A connected store, and the root whose regions are meant.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) store: RedisStore,
    pub(crate) root: Root,
    /// The longest that a call takes.
    pub(crate) timeout: Duration,
}

/// The region that all paths on the command line begin at.
#[derive(Clone, Debug)]
pub(crate) struct Root(RegionPath);

impl Target {
    /// Connects to the servers that the command line names.
    pub(crate) async fn connect(common: &Common) -> Result<Self, Failure> {
        let root = Root::parse(&common.root)?;
        let store = builder(common)?.connect().await?;
        Ok(Self { store, root, timeout: common.timeout })
    }
}

/// The builder of a store on the servers that the command line names.
pub(crate) fn builder(common: &Common) -> Result<RedisStoreBuilder, Failure> {
    let url = common.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
    let Some(url) = url else {
        let message =
            "no server is named\n  Set REGION_CACHE_URL, or write --url redis://localhost";
        return Err(Failure::usage(message));
    };
    if url.to_ascii_lowercase().starts_with("memory:") {
        let message = "a memory: store lies within one process, where no other can look into it\n  \
                       Name a server, as in --url redis://localhost";
        return Err(Failure::usage(message));
    }
    let builder = RedisStore::builder(url)?
        .client_name(CLIENT_NAME)
        .call_timeout(common.timeout)
        .connect_timeout(common.timeout)
        // It would do in the background what `region reclaim` is asked for.
        .without_reclaimer();
    Ok(builder)
}

/// Refuses what cannot be a key: the servers have another use for the empty text.
pub(crate) fn check_key(key: &str) -> Result<&str, Failure> {
    match key.len() {
        1..=MAX_KEY_BYTES => Ok(key),
        0 => Err(Failure::usage("a key is not empty")),
        bytes => {
            Err(Failure::usage(format!("a key has at most {MAX_KEY_BYTES} bytes, not {bytes}")))
        }
    }
}

impl Root {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let root =
            RegionPath::parse(text).map_err(|error| Failure::usage(format!("--root: {error}")))?;
        Ok(Self(root))
    }

    /// The region that a path on the command line means.
    pub(crate) fn region(&self, path: &str) -> Result<RegionPath, Failure> {
        let root = self.0.as_str();
        if path.is_empty() || path == ROOT {
            return Ok(self.0.clone());
        }
        // Who copies a whole path would name a region that nobody uses, and be told that all is done.
        if let Some(rest) =
            path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('.'))
        {
            let meant = rest.strip_prefix('.').unwrap_or(ROOT);
            let message = format!(
                "a path begins below the root, which is {root}: write {meant} for {path}\n  \
                 For a region of that name inside the root, write --root {root}.{root}"
            );
            return Err(Failure::usage(message));
        }
        let region = self.0.descend(path).map_err(region_cache::Error::from)?;
        Ok(region)
    }

    pub(crate) fn path(&self) -> &RegionPath {
        &self.0
    }

    /// The text of a region as the command line takes it.
    pub(crate) fn name(&self, region: &RegionPath) -> String {
        match region.as_str().strip_prefix(self.0.as_str()) {
            Some("") => ROOT.to_owned(),
            Some(below) if region.is_within(&self.0) => below.trim_start_matches('.').to_owned(),
            _ if self.0.is_within(region) => ABOVE.to_owned(),
            // One that another root has, such as a dependency.
            _ => format!("{ABOVE}{region}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_printed_as_it_is_written() {
        let root = Root::parse("shop.eu").unwrap();
        for (path, full) in [
            (".", "shop.eu"),
            ("", "shop.eu"),
            ("org:42", "shop.eu.org:42"),
            ("a.b", "shop.eu.a.b"),
        ] {
            let region = root.region(path).unwrap();
            assert_eq!(region.as_str(), full);
            assert_eq!(root.name(&region), if path.is_empty() { ROOT } else { path });
        }
        assert_eq!(root.name(&RegionPath::parse("shop").unwrap()), "..");
        assert_eq!(root.name(&RegionPath::parse("shop.eu2").unwrap()), "..shop.eu2");
    }

    #[test]
    fn a_whole_path_is_refused() {
        let root = Root::parse("shop").unwrap();
        for (path, meant) in
            [("shop", "write . for shop"), ("shop.org:42", "write org:42 for shop.org:42")]
        {
            let message = root.region(path).unwrap_err().to_string();
            assert!(message.contains(meant), "{message}");
        }
        assert!(root.region("shopping").is_ok());
    }
}
