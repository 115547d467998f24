package dev.precis.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;

/** Checks that every report must pass in a browser; they leave its pictures in target/reports. */
public final class ReportInBrowser {
  private static final int DESKTOP = 1200;
  private static final int PHONE = 390;

  private ReportInBrowser() {}

  /** Opens a page and checks it, light and dark, on a desktop and on a phone. */
  public static void check(Chromium browser, String name, Path page) throws Exception {
    browser.screen(DESKTOP, false);
    browser.open(page);
    assertEquals(List.of(), browser.complaints(), "the policy allows all that the page has");
    assertEquals("0", browser.evaluate("String(performance.getEntriesByType('resource').length)"));
    assertTrue(browser.evaluate("document.title").equals(text(browser, "h1")));
    int curves = browser.number("document.querySelector('.charts')?.offsetTop ?? 1e6");
    assertTrue(
        browser.number("document.querySelector('.results').offsetTop") < curves,
        "the conclusion comes before the curves");
    String light = background(browser);
    fits(browser, DESKTOP);
    browser.screenshot(name + "-light");
    assertEquals("", browser.accessibilityViolations(), "light");

    browser.screen(DESKTOP, true);
    assertNotEquals(light, background(browser), "a dark screen has a dark page");
    browser.screenshot(name + "-dark");
    assertEquals("", browser.accessibilityViolations(), "dark");

    browser.screen(PHONE, false);
    fits(browser, PHONE);
    browser.screenshot(name + "-390");
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true); ''");
    fits(browser, PHONE);
    assertEquals("", browser.accessibilityViolations(), "on a phone, all unfolded");
    assertTrue(browser.print(name) >= 1);
    browser.screen(DESKTOP, false);
  }

  private static String text(Chromium browser, String selector) throws InterruptedException {
    return browser.evaluate("document.querySelector('" + selector + "').textContent");
  }

  private static String background(Chromium browser) throws InterruptedException {
    return browser.evaluate("getComputedStyle(document.body).backgroundColor");
  }

  private static void fits(Chromium browser, int width) throws InterruptedException {
    assertTrue(
        browser.number("document.documentElement.scrollWidth") <= width,
        "the page is wider than " + width);
  }
}
