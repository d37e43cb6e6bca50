//! Random numbers that name things.

/// Writes the conversions from and to bits, and `Debug` as hexadecimal digits, for a newtype of a number.
macro_rules! bits {
    ($name:ident($bits:ty), $format:literal) => {
        impl $name {
            /// Creates the value that has these bits.
            #[must_use]
            pub const fn from_bits(bits: $bits) -> Self {
                Self(bits)
            }

            /// Returns the bits of the value.
            #[must_use]
            pub const fn to_bits(self) -> $bits {
                self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, $format, self.0)
            }
        }
    };
}
