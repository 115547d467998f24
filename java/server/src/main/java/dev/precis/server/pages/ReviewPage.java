package dev.precis.server.pages;

/** The page at {@code /} on which people compare summaries and decide on texts that are held. */
public final class ReviewPage {
  private ReviewPage() {}

  /** Returns the files of the page. */
  public static PageFiles files() {
    return new PageFiles()
        .add("/", ReviewPage.class, "review.html")
        .add("/style.css", ReviewPage.class, "style.css")
        .add("/review.js", ReviewPage.class, "review.js");
  }
}
