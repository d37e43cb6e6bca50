//! `&S`, `Box<S>` and `Arc<S>` are stores.

use super::{
    Arc, Begun, Duration, EndTerms, Ended, LeaseTerms, LeaseToken, Listener, Listening, Page,
    PageTerms, Read, ReadTerms, RegionPath, Result, ScanItem, Segment, Store, StoreHealth,
    Timestamp, Write, Written, async_trait,
};

macro_rules! forward {
    ($($store:tt)*) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: Store + ?Sized> Store for $($store)* {
            async fn read(
                &self,
                region: &RegionPath,
                keys: &[&str],
                terms: ReadTerms<'_>,
            ) -> Result<Read> {
                (**self).read(region, keys, terms).await
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

            async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
                (**self).end(region, terms).await
            }

            fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
                (**self).release(region, keys, token);
            }

            async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
                (**self).scan(region, terms).await
            }

            async fn children(
                &self,
                region: &RegionPath,
                terms: PageTerms,
            ) -> Result<Page<Segment>> {
                (**self).children(region, terms).await
            }

            async fn len(&self, region: &RegionPath) -> Result<u64> {
                (**self).len(region).await
            }

            fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
                (**self).listen(listener)
            }

            fn limit(&self) -> Option<Duration> {
                (**self).limit()
            }

            fn health(&self) -> StoreHealth {
                (**self).health()
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
