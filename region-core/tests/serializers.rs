//! What every serializer promises, for each of them: values come back, and no bytes do harm.

#![cfg(all(
    feature = "cbor",
    feature = "encryption",
    feature = "json",
    feature = "lz4",
    feature = "msgpack",
    feature = "zstd"
))]

mod serializers {
    mod encryption;
    mod foreign;
    mod hostile;
    mod round_trip;
    mod shapes;

    use region_core::{
        AnySerializer, Cbor, Compressed, Encrypted, EncryptionKey, Json, KeyRing, MessagePack,
        Policy, Postcard, Serializer,
    };

    /// A serializer, and a policy with it.
    struct Named {
        name: &'static str,
        serializer: AnySerializer,
        policy: Policy,
        describes_itself: bool,
    }

    impl Named {
        fn new<S: Serializer + Clone>(name: &'static str, serializer: S) -> Self {
            let policy = Policy::new().serializer(serializer.clone());
            let describes_itself = !name.contains("postcard");
            Self { name, serializer: AnySerializer::new(serializer), policy, describes_itself }
        }
    }

    /// All that there are, and some around each other.
    fn all() -> Vec<Named> {
        let keys = KeyRing::new(1, EncryptionKey::new(&[1; 32]));
        vec![
            Named::new("postcard", Postcard),
            Named::new("json", Json),
            Named::new("msgpack", MessagePack),
            Named::new("cbor", Cbor),
            Named::new("zstd postcard", Compressed::zstd(Postcard).above(0)),
            Named::new("zstd json", Compressed::zstd(Json).above(100)),
            Named::new("lz4 postcard", Compressed::lz4(Postcard).above(0)),
            Named::new("lz4 cbor", Compressed::lz4(Cbor).above(100)),
            Named::new("encrypted postcard", Encrypted::new(Postcard, keys.clone())),
            Named::new("encrypted zstd msgpack", {
                Encrypted::new(Compressed::zstd(MessagePack).above(0), keys)
            }),
        ]
    }

    /// Those whose bytes can be read without knowing the type.
    fn self_describing() -> impl Iterator<Item = Named> {
        all().into_iter().filter(|named| named.describes_itself)
    }

    fn written<V: serde::Serialize>(serializer: &AnySerializer, value: &V) -> Vec<u8> {
        let mut bytes = Vec::new();
        serializer.serialize(value, &mut bytes).unwrap();
        bytes
    }
}
