//! Reads and writes of entries.

use super::measure::row;
use super::subjects::Subjects;

pub(crate) async fn operations(subjects: &Subjects) -> String {
    let mut table = String::from(
        "\n| 200 bytes | bare us | store us | ratio | bare/s, 64 tasks | store/s | ratio |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for depth in [1, 4, 8] {
        let name = format!("`get`, depth {depth}, to HGET");
        table += &row(&name, subjects.bare_get(), subjects.get(depth)).await;
    }
    for (who, store) in [("another's", &subjects.reader), ("own", &subjects.writer)] {
        let name = format!("read of {who} entries, trusted lineage, depth 4, to HGET");
        table += &row(&name, subjects.bare_get(), subjects.trusted_read(store, 4).await).await;
    }
    let name = "HMGET by the bare client, trusted lineage, depth 4, to HGET";
    table += &row(name, subjects.bare_get(), subjects.bare_entries(4)).await;
    let name = "MGET and HMGET by the bare client, depth 4, to HGET";
    table += &row(name, subjects.bare_get(), subjects.bare_pipeline(4)).await;
    let name = "`get_or_compute` of one hot key, depth 4, to `get` of it";
    table += &row(name, subjects.hot_get(), subjects.hot_get_or_compute()).await;
    for depth in [1, 4, 8] {
        let name = format!("`set`, depth {depth}, to HSET");
        table += &row(&name, subjects.bare_set(), subjects.set(depth)).await;
    }
    let name = "`get_many` of 100, depth 4, to HMGET";
    table += &row(name, subjects.bare_get_many(), subjects.get_many()).await;
    let name = "`set_many` of 100, depth 4, to HSET";
    table + &row(name, subjects.bare_set_many(), subjects.set_many()).await
}
