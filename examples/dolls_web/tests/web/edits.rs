//! Edits in the browser: each fragment on the path of an edit is rendered again, and no other.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use browser::{Browser, Result};

use crate::kit::{Place, click, fill, gone, on_both, open_forms, rendered, stamps, text_of};

/// The fragments of the first library.
const FIRST: [&str; 11] = [
    "book-1", "book-2", "book-3", "book-4", "book-5", "library", "room-1", "room-2", "shelf-1",
    "shelf-2", "shelf-3",
];

/// The longest time until an edit is shown by another instance.
const SHOWN_LIMIT: Duration = Duration::from_secs(20);

on_both! {
    a_rename_renders_exactly_its_path_again
    a_move_renders_both_paths_again
    a_shelf_moves_with_its_books
    an_addition_renders_what_is_around_it_again
    a_deletion_renders_what_is_around_it_again
}

fn ids<const N: usize>(ids: [&'static str; N]) -> BTreeSet<&'static str> {
    BTreeSet::from(ids)
}

async fn a_rename_renders_exactly_its_path_again(place: Place) -> Result<()> {
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    browser.goto(site.url("/")).await?;
    let first = stamps(&browser).await?;
    assert_eq!(rendered(&Default::default(), &first), ids(FIRST));

    open_forms(&browser, "book-4").await?;
    fill(&browser, "form.rename input", "Opticks, 2nd edition").await?;
    click(&browser, "form.rename button").await?;

    assert_eq!(text_of(&browser, "#book-4 h4").await?, "Opticks, 2nd edition");
    let renamed = stamps(&browser).await?;
    assert_eq!(rendered(&first, &renamed), ids(["library", "room-2", "shelf-3", "book-4"]));
    assert_eq!(gone(&first, &renamed), ids([]));

    browser.refresh().await?;
    assert_eq!(stamps(&browser).await?, renamed);
    // Another page shows the same fragments.
    browser.goto(site.url("/rooms/2")).await?;
    let of_room = stamps(&browser).await?;
    assert_eq!(of_room.len(), 4);
    assert!(of_room.iter().all(|(id, stamp)| renamed[id] == *stamp));
    Ok(())
}

async fn a_move_renders_both_paths_again(place: Place) -> Result<()> {
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    browser.goto(site.url("/")).await?;
    let first = stamps(&browser).await?;

    open_forms(&browser, "book-1").await?;
    click(&browser, "form.move option[value='3']").await?;
    click(&browser, "form.move button").await?;

    assert_eq!(text_of(&browser, "#room-2 #shelf-3 #book-1 h4").await?, "Dead Souls");
    let moved = stamps(&browser).await?;
    let both = ["library", "room-1", "shelf-1", "room-2", "shelf-3", "book-1"];
    assert_eq!(rendered(&first, &moved), ids(both));

    // And back: nothing of its first stay is shown again.
    open_forms(&browser, "book-1").await?;
    fill(&browser, "form.rename input", "The Overcoat").await?;
    click(&browser, "form.rename button").await?;
    open_forms(&browser, "book-1").await?;
    click(&browser, "form.move option[value='1']").await?;
    click(&browser, "form.move button").await?;
    assert_eq!(text_of(&browser, "#room-1 #shelf-1 #book-1 h4").await?, "The Overcoat");
    assert_eq!(rendered(&first, &stamps(&browser).await?), ids(both));
    Ok(())
}

async fn a_shelf_moves_with_its_books(place: Place) -> Result<()> {
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    browser.goto(site.url("/")).await?;
    let first = stamps(&browser).await?;

    open_forms(&browser, "shelf-1").await?;
    click(&browser, "form.move option[value='2']").await?;
    click(&browser, "form.move button").await?;

    assert_eq!(text_of(&browser, "#room-2 #shelf-1 #book-2 h4").await?, "The Idiot");
    // The books have other regions now, as their paths are others.
    let expected = ["library", "room-1", "room-2", "shelf-1", "book-1", "book-2"];
    assert_eq!(rendered(&first, &stamps(&browser).await?), ids(expected));
    Ok(())
}

async fn an_addition_renders_what_is_around_it_again(place: Place) -> Result<()> {
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    browser.goto(site.url("/")).await?;
    let first = stamps(&browser).await?;

    fill(&browser, "#shelf-2 > form.add input", "Candide").await?;
    click(&browser, "#shelf-2 > form.add button").await?;
    assert_eq!(text_of(&browser, "#shelf-2 > #book-6 h4").await?, "Candide");
    let with_book = stamps(&browser).await?;
    assert_eq!(rendered(&first, &with_book), ids(["library", "room-1", "shelf-2", "book-6"]));

    fill(&browser, "#room-2 > form.add input", "Chemistry").await?;
    click(&browser, "#room-2 > form.add button").await?;
    assert_eq!(text_of(&browser, "#room-2 > #shelf-4 h3").await?, "Chemistry");
    let with_shelf = stamps(&browser).await?;
    assert_eq!(rendered(&with_book, &with_shelf), ids(["library", "room-2", "shelf-4"]));

    fill(&browser, "#library > form.add input", "Maps").await?;
    click(&browser, "#library > form.add button").await?;
    assert_eq!(text_of(&browser, "#library > #room-3 h2").await?, "Maps");
    assert_eq!(rendered(&with_shelf, &stamps(&browser).await?), ids(["library", "room-3"]));
    Ok(())
}

async fn a_deletion_renders_what_is_around_it_again(place: Place) -> Result<()> {
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    browser.goto(site.url("/")).await?;
    let first = stamps(&browser).await?;

    open_forms(&browser, "book-5").await?;
    click(&browser, "form.delete button").await?;
    text_of(&browser, "#library h1").await?;
    let without_book = stamps(&browser).await?;
    assert_eq!(gone(&first, &without_book), ids(["book-5"]));
    assert_eq!(rendered(&first, &without_book), ids(["library", "room-2", "shelf-3"]));

    open_forms(&browser, "shelf-1").await?;
    click(&browser, "form.delete button").await?;
    text_of(&browser, "#library h1").await?;
    let without_shelf = stamps(&browser).await?;
    assert_eq!(gone(&without_book, &without_shelf), ids(["shelf-1", "book-1", "book-2"]));
    assert_eq!(rendered(&without_book, &without_shelf), ids(["library", "room-1"]));

    open_forms(&browser, "room-1").await?;
    click(&browser, "form.delete button").await?;
    text_of(&browser, "#library h1").await?;
    let without_room = stamps(&browser).await?;
    assert_eq!(gone(&without_shelf, &without_room), ids(["room-1", "shelf-2", "book-3"]));
    assert_eq!(rendered(&without_shelf, &without_room), ids(["library"]));
    Ok(())
}

/// Two instances share the database and the server, and each holds fragments near.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_shows_an_edit_and_renders_nothing_itself() -> Result<()> {
    let place = Place::redis();
    let (here, there) = (place.serve("here").await, place.serve("there").await);
    let browser = Browser::start().await;
    browser.goto(here.url("/")).await?;
    let first = stamps(&browser).await?;
    browser.goto(there.url("/")).await?;
    assert_eq!(stamps(&browser).await?, first);

    browser.goto(here.url("/")).await?;
    open_forms(&browser, "book-2").await?;
    fill(&browser, "form.rename input", "Demons").await?;
    click(&browser, "form.rename button").await?;
    assert_eq!(text_of(&browser, "#book-2 h4").await?, "Demons");
    let renamed = stamps(&browser).await?;

    let deadline = Instant::now() + SHOWN_LIMIT;
    loop {
        browser.goto(there.url("/")).await?;
        if text_of(&browser, "#book-2 h4").await? == "Demons" {
            break;
        }
        assert!(Instant::now() < deadline, "the edit is not shown");
    }
    assert_eq!(rendered(&first, &renamed), ids(["library", "room-1", "shelf-1", "book-2"]));
    assert_eq!(stamps(&browser).await?, renamed);
    Ok(())
}
