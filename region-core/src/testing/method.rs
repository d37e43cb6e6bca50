use std::fmt;

/// A method of [`Store`](crate::Store).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// [`Store::read`](crate::Store::read)
    Read,
    /// [`Store::begin`](crate::Store::begin)
    Begin,
    /// [`Store::write`](crate::Store::write)
    Write,
    /// [`Store::end`](crate::Store::end)
    End,
    /// [`Store::scan`](crate::Store::scan)
    Scan,
    /// [`Store::children`](crate::Store::children)
    Children,
    /// [`Store::len`](crate::Store::len)
    Len,
    /// [`Store::release`](crate::Store::release)
    Release,
    /// [`Store::listen`](crate::Store::listen)
    Listen,
    /// [`Store::now`](crate::Store::now)
    Now,
}

impl Method {
    /// The method's name in the trait.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Begin => "begin",
            Self::Write => "write",
            Self::End => "end",
            Self::Scan => "scan",
            Self::Children => "children",
            Self::Len => "len",
            Self::Release => "release",
            Self::Listen => "listen",
            Self::Now => "now",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
