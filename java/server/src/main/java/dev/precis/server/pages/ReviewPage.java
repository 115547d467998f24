package dev.precis.server.pages;

import java.util.List;

/**
 * The page at {@code /} on which people compare summaries and decide on texts that are held, and on
 * which managers see the agreement.
 */
public final class ReviewPage {
  private static final List<String> MODULES =
      List.of(
          "review.js",
          "review-page.js",
          "review-compare.js",
          "review-queue.js",
          "review-agreement.js");

  private ReviewPage() {}

  /** Returns the files of the page. */
  public static PageFiles files() {
    PageFiles files =
        new PageFiles()
            .add("/", ReviewPage.class, "review.html")
            .add("/style.css", ReviewPage.class, "style.css");
    MODULES.forEach(name -> files.add("/" + name, ReviewPage.class, name));
    return files;
  }
}
