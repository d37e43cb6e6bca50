//! What users write, in the browser.

use browser::{Browser, By, ElementQueryable, Result};

use crate::kit::{Place, click, fill, on_both, open_forms, stamps, text_of};

on_both! {
    names_are_shown_as_text
    a_wrong_form_shows_an_error_and_renders_nothing_again
    what_is_not_there_has_a_page
}

async fn names_are_shown_as_text(place: Place) -> Result<()> {
    const HOSTILE: &str = r#"<script>document.title = "taken"</script>&amp;'"><b>"#;
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    browser.goto(site.url("/")).await?;
    for (fragment, heading) in [("book-1", "h4"), ("shelf-1", "h3"), ("room-1", "h2")] {
        open_forms(&browser, fragment).await?;
        fill(&browser, "form.rename input", HOSTILE).await?;
        click(&browser, "form.rename button").await?;
        let shown = text_of(&browser, &format!("#{fragment} {heading}")).await?;
        assert_eq!(shown, HOSTILE);
    }
    assert_eq!(browser.title().await?, "Library");
    assert!(browser.query(By::Css("script, b")).nowait().all_from_selector().await?.is_empty());

    // Within an attribute, and in the list of places.
    open_forms(&browser, "book-1").await?;
    let field = browser.query(By::Css("form.rename input")).first().await?;
    assert_eq!(field.value().await?.as_deref(), Some(HOSTILE));
    let place = text_of(&browser, "form.move option[value='1']").await?;
    assert_eq!(place, format!("{HOSTILE} / {HOSTILE}"));
    assert_eq!(browser.title().await?, HOSTILE);
    Ok(())
}

async fn a_wrong_form_shows_an_error_and_renders_nothing_again(place: Place) -> Result<()> {
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    browser.goto(site.url("/")).await?;
    let first = stamps(&browser).await?;

    // The browser refuses an empty name: it stays on the page.
    open_forms(&browser, "book-1").await?;
    fill(&browser, "form.rename input", "").await?;
    click(&browser, "form.rename button").await?;
    assert!(browser.current_url().await?.path().ends_with("/books/1/edit"));

    // The service refuses one from whoever does not check.
    let unchecked = "document.querySelector('form.rename').noValidate = true";
    browser.execute(unchecked, Vec::new()).await?;
    fill(&browser, "form.rename input", "  ").await?;
    click(&browser, "form.rename button").await?;
    assert_eq!(text_of(&browser, ".error h1").await?, "Unprocessable Entity");
    assert_eq!(text_of(&browser, ".error p").await?, "A name has at least one character.");

    browser.goto(site.url("/")).await?;
    assert_eq!(stamps(&browser).await?, first);
    Ok(())
}

async fn what_is_not_there_has_a_page(place: Place) -> Result<()> {
    let (site, browser) = (place.serve("a").await, Browser::start().await);
    for (path, reason) in [
        ("/rooms/99", "Not Found"),
        ("/rooms/2/shelves/1/edit", "Not Found"),
        ("/nowhere", "Not Found"),
        ("/rooms/none", "Bad Request"),
    ] {
        browser.goto(site.url(path)).await?;
        assert_eq!(text_of(&browser, ".error h1").await?, reason, "{path}");
        click(&browser, "nav a").await?;
        assert_eq!(text_of(&browser, "#library h1").await?, "Library");
    }
    Ok(())
}
