//! Pages about the use of this library.

#[doc = include_str!("../docs/configuration.md")]
pub mod configuration {}

#[doc = include_str!("../docs/from-python.md")]
pub mod from_python {}

#[doc = include_str!("../docs/other-languages.md")]
pub mod other_languages {}

#[doc = include_str!("../docs/which-topology.md")]
pub mod which_topology {}
