//! Bytes that need no allocation while they are few.

/// Longer ones cost an allocation. With it the whole is as large as what compilers move without a call.
const INLINE_BYTES: usize = 96;

/// Bytes to which more are appended. As opposed to the vectors of `smallvec`, an appended part whose length the
/// compiler knows becomes one comparison and one store.
#[derive(Clone)]
pub(super) struct PathBytes {
    inline: [u8; INLINE_BYTES],
    /// The bytes in use of `inline`, while there are none on the heap.
    used: usize,
    /// All of the bytes, if they are too many.
    heap: Vec<u8>,
}

impl Default for PathBytes {
    #[inline]
    fn default() -> Self {
        Self { inline: [0; INLINE_BYTES], used: 0, heap: Vec::new() }
    }
}

impl PathBytes {
    #[inline]
    pub(super) fn extend(&mut self, part: &[u8]) {
        match self.inline.get_mut(self.used..self.used.wrapping_add(part.len())) {
            Some(room) if self.heap.is_empty() => {
                room.copy_from_slice(part);
                self.used += part.len();
            }
            _ => self.extend_heap(part),
        }
    }

    #[cold]
    #[inline(never)]
    fn extend_heap(&mut self, part: &[u8]) {
        if self.heap.is_empty() {
            self.heap.extend_from_slice(&self.inline[..self.used]);
        }
        self.heap.extend_from_slice(part);
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        if self.heap.is_empty() { &self.inline[..self.used] } else { &self.heap }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        if self.heap.is_empty() { &mut self.inline[..self.used] } else { &mut self.heap }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Drops the bytes from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.used = self.used.min(len);
        self.heap.truncate(len);
    }
}
