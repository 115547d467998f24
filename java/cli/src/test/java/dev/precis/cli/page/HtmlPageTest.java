package dev.precis.cli.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.Json;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

final class HtmlPageTest {
  private static final String EVIL =
      "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' \u0000\u001b[31m"
          + "\u202etxet\u2066 \ud800 &amp;";

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      value = {
        "`<script>`,&lt;script&gt;",
        "`a & \"b\" 'c'`,a &amp; &quot;b&quot; &#39;c&#39;",
      })
  void escapesMarkup(String text, String html) {
    assertEquals(html, Html.text(text));
  }

  @Test
  void showsWhatIsHidden() {
    assertEquals(
        "\\u0000\\u001b[31m \\u202e \\ud800 \\u000d", Html.text("\0\33[31m \u202e \ud800 \r"));
    assertEquals("a\n\tb", Html.text("a\r\n\tb"));
    String family =
        "\ud83d\udc69\u200d\ud83d\udc67 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645";
    assertEquals(family, Html.text(family), "joiners of emoji and of scripts stay");
  }

  private static String page() {
    ObjectNode options = Json.mapper().createObjectNode();
    options.put(EVIL, EVIL);
    options.putObject("lora").put("rank", 32).putArray("modules").add(EVIL);
    WordDifference words = WordDifference.of(EVIL, EVIL + " more");
    Cards.Card card =
        new Cards.Card(
            EVIL,
            EVIL,
            List.of(EVIL),
            EVIL,
            List.of(
                Cards.Entry.plain(EVIL, EVIL, EVIL),
                new Cards.Entry(EVIL, "", words.beforeHtml() + words.afterHtml())));
    return new HtmlPage(EVIL)
        .section(
            EVIL, new HtmlTable(EVIL, false, List.of("", EVIL)).row(EVIL, List.of(EVIL)).html())
        .add(new Cards(EVIL, EVIL, 1, List.of(card, card)).html())
        .folded(EVIL, "x")
        .options(options)
        .render();
  }

  /** Only the page's own script and style are elements, and no attribute comes from a text. */
  @Test
  void textFromElsewhereStaysText() {
    String page = page();
    assertEquals(1, page.split("<script>", -1).length - 1);
    assertEquals(1, page.split("<style>", -1).length - 1);
    assertFalse(page.contains("<img") || page.contains("<script src"), page);
    Matcher tags =
        Pattern.compile("<[a-z][^>]*>")
            .matcher(page.replaceAll("(?s)<s(cript|tyle)>.*?</s\\1>", ""));
    int count = 0;
    while (tags.find()) {
      count++;
      String names = tags.group().replaceAll("\"[^\"]*\"", "");
      assertFalse(names.matches("(?s).*\\s(on[a-z]+|style|src)=.*"), tags.group());
    }
    assertTrue(count > 50, "tags are found");
    assertTrue(page.codePoints().noneMatch(c -> c < ' ' && c != '\n' && c != '\t'));
    assertTrue(page.codePoints().noneMatch(c -> c == 0x202e || c == 0x2066 || c == 0xd800));
  }

  private static String hash(String text) throws Exception {
    byte[] digest =
        MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    return "'sha256-" + Base64.getEncoder().encodeToString(digest) + "'";
  }

  private static String between(String page, String tag) {
    int from = page.indexOf("<" + tag + ">") + tag.length() + 2;
    return page.substring(from, page.indexOf("</" + tag + ">"));
  }

  @Test
  void thePolicyLetsItsOwnScriptAndStyleAlone() throws Exception {
    String page = page();
    Matcher policy =
        Pattern.compile("Content-Security-Policy\" content=\"([^\"]*)\"").matcher(page);
    assertTrue(policy.find());
    assertEquals(
        "default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'"
            .formatted(hash(between(page, "script")), hash(between(page, "style"))),
        policy.group(1));
    assertTrue(policy.start() < page.indexOf("<style>"), "it comes before what it is about");
    assertFalse(page.contains("http://") || page.contains("https://"), "it loads nothing");
  }

  @Test
  void optionsOfObjectsAreNamedByBoth() {
    assertTrue(page().contains("<th scope=\"row\">lora.rank</th><td>32</td>"), page());
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1234567, '1,234,567'",
    "1e9, 1e9",
    "123.456, 123.5",
    "12.345, 12.35",
    "0.41234, 0.4123",
    "-0.041, -0.0410",
    "1.41e-5, 1.41e-5",
    "-2.5e-7, -2.5e-7",
    "NaN, -"
  })
  void numbersAreShort(double value, String text) {
    assertEquals(text, Numbers.of(value));
  }

  @ParameterizedTest
  @CsvSource({"4.13, 4.1 s", "200, 3 min 20 s", "7500, 2 h 5 min"})
  void durationsAreShort(double seconds, String text) {
    assertEquals(text, Numbers.time(seconds));
  }
}
