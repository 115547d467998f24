package dev.precis.cli.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class WordDifferenceTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "a b c|a b c|a b c|a b c",
        "a b c|a x c|a <del>b</del> c|a <ins>x</ins> c",
        "a b c d|a d|a <del>b c</del> d|a d",
        "``|new words|``|<ins>new words</ins>",
        "old words|``|<del>old words</del>|``",
        "Tom, come!|Tom come.|Tom<del>,</del> come<del>!</del>|Tom come<ins>.</ins>",
        "#Person1# says 7:30|#Person2# says 7:45|<del>#Person1#</del> says 7:<del>30</del>"
            + "|<ins>#Person2#</ins> says 7:<ins>45</ins>",
        "don't go|do go|<del>don&#39;t</del> go|<ins>do</ins> go",
        "<b> & c|<b> c|&lt;b&gt; <del>&amp;</del> c|&lt;b&gt; c",
        "größer 日本 ok|größer 中国 ok|größer <del>日本</del> ok|größer <ins>中国</ins> ok",
      })
  void marksWordsOfOneTextAlone(String before, String after, String old, String now) {
    WordDifference words = WordDifference.of(before, after);
    assertEquals(old, words.beforeHtml());
    assertEquals(now, words.afterHtml());
  }

  private static String randomText(SplittableRandom random) {
    return IntStream.range(0, random.nextInt(9))
        .mapToObj(i -> "" + (char) ('a' + random.nextInt(3)))
        .collect(Collectors.joining(" "));
  }

  /** The length of the longest common subsequence of words, by trying everything. */
  private static int longest(String[] a, int i, String[] b, int j) {
    if (i == a.length || j == b.length) {
      return 0;
    }
    int without = Math.max(longest(a, i + 1, b, j), longest(a, i, b, j + 1));
    return a[i].equals(b[j]) ? Math.max(without, 1 + longest(a, i + 1, b, j + 1)) : without;
  }

  private static String kept(String html, String tag) {
    return html.replaceAll("<%s>.*?</%s>".formatted(tag, tag), " ").strip().replaceAll(" +", " ");
  }

  @Test
  void keepsALongestCommonSubsequence() {
    SplittableRandom random = new SplittableRandom(2);
    for (int i = 0; i < 2000; i++) {
      String before = randomText(random);
      String after = randomText(random);
      WordDifference words = WordDifference.of(before, after);
      assertEquals(before, words.beforeHtml().replaceAll("</?del>", ""));
      assertEquals(after, words.afterHtml().replaceAll("</?ins>", ""));
      String kept = kept(words.beforeHtml(), "del");
      assertEquals(kept, kept(words.afterHtml(), "ins"));
      int expected = longest(before.split(" "), 0, after.split(" "), 0);
      int found = kept.isEmpty() ? 0 : kept.split(" ").length;
      assertEquals(before.isEmpty() || after.isEmpty() ? 0 : expected, found, before + "|" + after);
    }
  }

  @Test
  void longTextsEndSoonAndKeepTheirCommonEnds() {
    String middle = "x ".repeat(50_000);
    String other = "y ".repeat(50_000);
    WordDifference words = WordDifference.of("same " + middle + "end", "same " + other + "end");
    assertTrue(words.beforeHtml().startsWith("same <del>x x"));
    assertTrue(words.afterHtml().endsWith("y</ins> end"));
  }
}
