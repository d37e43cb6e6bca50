use std::ops::Deref;
use std::sync::Arc;

/// A value that was sent, and its sender if it named itself. Cheap to clone.
///
/// ```
/// use region_core::{Sent, Signal};
///
/// let renamed: Signal<u64> = Signal::new("project renamed");
/// let _connection = renamed.connect(|project: Sent<u64>| {
///     assert_eq!((*project, project.sender()), (7, Some("importer")));
/// });
/// drop(renamed.send_from("importer", 7));
/// ```
#[derive(Debug)]
pub struct Sent<T> {
    value: Arc<T>,
    sender: Option<Arc<str>>,
}

impl<T> Sent<T> {
    pub(super) fn new(value: Arc<T>, sender: Option<Arc<str>>) -> Self {
        Self { value, sender }
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &Arc<T> {
        &self.value
    }

    /// Returns the name of the sender, if the value was sent [from](super::Signal::send_from) one.
    #[must_use]
    pub fn sender(&self) -> Option<&str> {
        self.sender.as_deref()
    }
}

impl<T> Deref for Sent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Clone for Sent<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), sender: self.sender.clone() }
    }
}
