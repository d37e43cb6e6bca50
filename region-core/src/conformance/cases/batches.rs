//! Loads of several keys.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use super::super::Harness;
use super::super::gate::region;
use crate::error::{Error, ErrorKind};
use crate::policy::Policy;
use crate::region::{Region, RegionExt};

/// Several keys are loaded together, only those that are missing, and each is stored.
pub async fn many_keys_are_loaded_together<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    region.set("there", &1u32).await.unwrap();
    let asked = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let load = |asked: &Arc<parking_lot::Mutex<Vec<Vec<String>>>>| {
        let asked = Arc::clone(asked);
        move |keys: Vec<String>| {
            asked.lock().push(keys.clone());
            let values = keys.into_iter().filter(|key| key != "nowhere").map(|key| (key, 2));
            std::future::ready(Ok::<HashMap<String, u32>, Infallible>(values.collect()))
        }
    };
    let keys = ["new", "there", "nowhere", "new", "newer"];
    let values = region.get_or_compute_many(&keys, load(&asked)).await.unwrap();
    let values: Vec<_> = values.into_iter().map(|value| value.map(|value| *value)).collect();
    assert_eq!(values, [Some(2), Some(1), None, Some(2), Some(2)]);
    assert_eq!(*asked.lock(), [["new", "nowhere", "newer"]]);
    asked.lock().clear();
    region.remove("newer").await.unwrap();
    region.get_or_compute_many(&keys, load(&asked)).await.unwrap();
    assert_eq!(*asked.lock(), [["nowhere", "newer"]], "what was stored is not loaded again");
    let none: Vec<Option<Arc<u32>>> = region.get_or_compute_many(&[], load(&asked)).await.unwrap();
    assert!(none.is_empty());
    let error: Error = region
        .get_or_compute_many(&["a", "b"], |_| {
            std::future::ready(Err::<HashMap<String, u32>, _>(io::Error::other("down")))
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
}
