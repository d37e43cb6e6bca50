//! Backups, and going back to them.

use bytes::Bytes;
use region_core::{
    Begun, EndTerms, Guard, LeaseTerms, LeaseToken, Lifetime, Op, Put, Read, ReadTerms, RegionPath,
    Store, Verb, Write, Written,
};
use region_memory::MemoryStore;

fn shop() -> RegionPath {
    RegionPath::parse("shop").unwrap()
}

fn put(value: &'static str) -> Op<'static> {
    Op::Put(Put::new("k", Bytes::from_static(value.as_bytes())).fresh_for(Lifetime::Unlimited))
}

async fn read(store: &MemoryStore) -> Read {
    store.read(&shop(), &["k"], ReadTerms::default()).await.unwrap()
}

#[tokio::test]
async fn a_store_that_is_put_back_has_its_entries_lineages_and_leases() {
    let store = MemoryStore::new();
    store.write(&shop(), Write::new(&[put("old")])).await.unwrap();
    let token = LeaseToken::from_bits(7);
    let terms = LeaseTerms::new(token, std::time::Duration::from_secs(60));
    let Begun { lineage, .. } = store.begin(&shop(), &["other"], terms).await.unwrap();
    let (backup, used) = (store.back_up(), store.memory_use());

    store.end(&shop(), EndTerms::new(Verb::Invalidate)).await.unwrap();
    let guard = Guard::new(&lineage, &["other"], token);
    let fill = Op::Put(Put::new("other", Bytes::new()));
    let fill = [fill];
    let fill = Write::new(&fill).guard(guard);
    assert!(matches!(store.write(&shop(), fill).await, Ok(Written::Fenced)));
    store.write(&shop(), Write::new(&[put("new")])).await.unwrap();

    store.roll_back(&backup);
    let found = read(&store).await;
    assert_eq!(found.lineage, Some(lineage.clone()));
    assert_eq!(found.entries[0].as_ref().unwrap().bytes, "old");
    assert_eq!(store.memory_use(), used);
    assert!(matches!(store.write(&shop(), fill).await, Ok(Written::Applied(_))));
    assert_eq!(store.memory_use().entries, 2);
    store.roll_back(&backup);
    assert_eq!(read(&store).await.entries[0].as_ref().unwrap().bytes, "old");
}
