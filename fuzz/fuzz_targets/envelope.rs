#![no_main]

use libfuzzer_sys::fuzz_target;
use region_core::{
    BoxError, DependsOn, Envelope, Fingerprint, MAX_DEPENDENCIES, Place, RegionPath, SerializerId,
};

fuzz_target!(|input: (u8, u64, &str, &[u8], Vec<(&str, u64)>)| {
    let (serializer, fingerprint, key, bytes, regions) = input;
    let Ok(region) = RegionPath::root("root") else { return };
    let place = Place::of_region(&region).of_key(key);
    // Bytes from anywhere do not open but by a chance of one in 2^64.
    let _ = Envelope::open(bytes, place);

    // What is sealed opens as it was, here and nowhere else.
    let write = |out: &mut Vec<u8>| {
        out.extend_from_slice(bytes);
        Ok::<_, BoxError>(())
    };
    let serializer = SerializerId::new(serializer);
    let fingerprint = Fingerprint::from_bits(fingerprint);
    let depends = regions.iter().filter_map(|(region, marker)| {
        Some(DependsOn { region: RegionPath::parse(region).ok()?, marker: *marker })
    });
    let list: Vec<_> = depends.take(MAX_DEPENDENCIES).collect();
    let Ok(sealed) = Envelope::seal(place, serializer, fingerprint, &list, write) else { return };
    let open = Envelope::open(&sealed, place).expect("what is sealed opens");
    assert_eq!(open.payload, bytes);
    assert_eq!(open.depends_on(), list);
    assert_eq!(open.serializer, serializer);
    assert_eq!(open.fingerprint, fingerprint.to_bits());
    let elsewhere = Place::of_region(&region).of_key(&format!("{key}."));
    assert!(Envelope::open(&sealed, elsewhere).is_err());
});
