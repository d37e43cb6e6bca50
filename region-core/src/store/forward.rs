//! `&S`, `Box<S>` and `Arc<S>` are stores.

use super::{
    Arc, Begun, Cursor, EventStream, LeaseTerms, Page, Read, ReadFrom, RegionPath, Result,
    ScanItem, Segment, Store, Timestamp, Verb, Write, Written, async_trait,
};

macro_rules! forward {
    ($($store:tt)*) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: Store + ?Sized> Store for $($store)* {
            async fn read(&self, region: &RegionPath, keys: &[&str], from: ReadFrom) -> Result<Read> {
                (**self).read(region, keys, from).await
            }

            async fn begin(
                &self,
                region: &RegionPath,
                keys: &[&str],
                terms: LeaseTerms,
            ) -> Result<Begun> {
                (**self).begin(region, keys, terms).await
            }

            async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
                (**self).write(region, write).await
            }

            async fn end(&self, region: &RegionPath, verb: Verb) -> Result<()> {
                (**self).end(region, verb).await
            }

            async fn scan(
                &self,
                region: &RegionPath,
                cursor: Option<Cursor>,
                limit: usize,
            ) -> Result<Page<ScanItem>> {
                (**self).scan(region, cursor, limit).await
            }

            async fn children(
                &self,
                region: &RegionPath,
                cursor: Option<Cursor>,
                limit: usize,
            ) -> Result<Page<Segment>> {
                (**self).children(region, cursor, limit).await
            }

            async fn len(&self, region: &RegionPath) -> Result<u64> {
                (**self).len(region).await
            }

            fn events(&self) -> Option<EventStream> {
                (**self).events()
            }

            async fn now(&self) -> Result<Timestamp> {
                (**self).now().await
            }
        }
    };
}

forward!(&'static S);
forward!(Box<S>);
forward!(Arc<S>);
