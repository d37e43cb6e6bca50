//! From values to sealed bytes and back.

pub(crate) mod codec;
pub(crate) mod dependencies;
pub(crate) mod envelope;
pub(crate) mod fingerprint;
pub(crate) mod made;
pub(crate) mod readback;
pub(crate) mod serializer;
