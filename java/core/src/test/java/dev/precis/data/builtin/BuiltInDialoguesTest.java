package dev.precis.data.builtin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.random.SplitMix64;
import dev.precis.text.PromptTemplate;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class BuiltInDialoguesTest {
  private static final int COUNT = 5000;
  private static final Situations SITUATIONS = Situations.load();
  private static BuiltInDialogues data;
  private static List<BuiltInDialogue> all;

  @BeforeAll
  static void generate() {
    data = BuiltInDialogues.generate(0, COUNT);
    all = Stream.of(data.train(), data.validation(), data.test()).flatMap(List::stream).toList();
  }

  private static String hash(BuiltInDialogues dialogues) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    for (List<BuiltInDialogue> split :
        List.of(dialogues.train(), dialogues.validation(), dialogues.test())) {
      for (BuiltInDialogue each : split) {
        digest.update(Json.mapper().writeValueAsBytes(each.toJson()));
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /**
   * The same on every machine. Whoever changes the sentences changes this, and trains the built-in
   * model anew.
   */
  @Test
  void isTheSameEverywhere() throws Exception {
    assertEquals("e8322d739668743508b1a80dff2e0fbd33219f6fefb94e8c39d31dcc6a260ad8", hash(data));
    assertEquals(hash(data), hash(BuiltInDialogues.generate(0, COUNT)));
    assertNotEquals(hash(data), hash(BuiltInDialogues.generate(1, COUNT)));
  }

  @Test
  void splitsAreEightToOneToOne() {
    assertEquals(8 * COUNT / 10, data.train().size());
    assertEquals(COUNT / 10, data.validation().size());
    assertEquals(COUNT / 10, data.test().size());
    assertEquals("train_17", data.train().get(17).id());
    assertEquals("validation_3", data.validation().get(3).id());
    assertEquals("test_0", data.test().getFirst().id());
    Set<Integer> references = new TreeSet<>();
    data.train().forEach(each -> references.add(each.summaries().size()));
    assertEquals(Set.of(1, 2, 3), references);
    data.validation().forEach(each -> assertEquals(3, each.summaries().size()));
    data.test().forEach(each -> assertEquals(3, each.summaries().size()));
  }

  @Test
  void moreBeginsWithWhatFewerHave() {
    BuiltInDialogues fewer = BuiltInDialogues.generate(0, 200);
    assertEquals(fewer.train(), data.train().subList(0, 160));
    assertEquals(fewer.test(), data.test().subList(0, 20));
  }

  @Test
  void nothingIsThereTwice() {
    Set<String> dialogues = new HashSet<>();
    for (BuiltInDialogue each : all) {
      assertTrue(dialogues.add(each.dialogue()), each.dialogue());
      assertEquals(each.summaries().size(), Set.copyOf(each.summaries()).size(), each.id());
    }
    assertEquals(COUNT, dialogues.size());
  }

  /** Not one dialogue in new clothes: names and numbers taken out, most are still different. */
  @Test
  void dialoguesAreVaried() {
    Set<String> skeletons = new HashSet<>();
    Set<String> endings = new HashSet<>();
    Pattern facts = valuesPattern();
    for (BuiltInDialogue each : all) {
      skeletons.add(facts.matcher(each.dialogue()).replaceAll("_"));
    }
    assertTrue(skeletons.size() > COUNT * 8 / 10, "skeletons: " + skeletons.size());
    SITUATIONS.situations().forEach(s -> s.cases().forEach(c -> endings.add(s.topic() + c.name())));
    assertTrue(endings.size() >= 75, "endings: " + endings.size());
  }

  private static Pattern valuesPattern() {
    List<String> values = new ArrayList<>();
    for (String type :
        List.of("person", "name", "surname", "day", "month", "city", "street", "color")) {
      values.addAll(SITUATIONS.values(type));
    }
    return Pattern.compile("\\d+(:\\d+)?( [ap]m)?|" + String.join("|", values));
  }

  @Test
  void everySituationIsAsFrequentAsAnother() {
    Map<String, Integer> topics = new TreeMap<>();
    all.forEach(each -> topics.merge(each.topic(), 1, Integer::sum));
    assertEquals(27, topics.size());
    double mean = (double) COUNT / topics.size();
    topics.forEach((topic, count) -> assertEquals(mean, count, 5 * Math.sqrt(mean), topic));
  }

  @Test
  void lengthsAndWordsSuitASmallModel() {
    Set<String> words = new HashSet<>();
    for (BuiltInDialogue each : all) {
      int length = each.dialogue().split("\\s+").length;
      assertTrue(length >= 40 && length <= 120, each.dialogue());
      String text = each.dialogue() + " " + String.join(" ", each.summaries());
      words.addAll(List.of(text.toLowerCase().split("[^a-z']+")));
      assertFalse(each.summaries().isEmpty());
      each.summaries().forEach(s -> assertTrue(s.split(" ").length <= 45, s));
    }
    assertTrue(words.size() > 800 && words.size() < 1500, "word types: " + words.size());
  }

  /** Two to four speakers, numbered in the order in which they speak or by name. */
  @Test
  void speakers() {
    Set<Integer> counts = new TreeSet<>();
    int numbered = 0;
    for (BuiltInDialogue each : all) {
      Set<String> labels = new TreeSet<>();
      for (String line : each.dialogue().split("\n")) {
        Matcher label = Pattern.compile("(#Person[1-4]#|[A-Z][a-z]+): [A-Z0-9].*").matcher(line);
        assertTrue(label.matches(), line);
        labels.add(label.group(1));
      }
      counts.add(labels.size());
      if (each.dialogue().startsWith("#")) {
        numbered++;
        for (int i = 1; i <= labels.size(); i++) {
          assertTrue(labels.contains("#Person" + i + "#"), each.dialogue());
        }
      } else {
        assertTrue(SITUATIONS.values("name").containsAll(labels), labels.toString());
      }
    }
    assertEquals(Set.of(2, 3, 4), counts);
    assertEquals(COUNT / 2.0, numbered, 5 * Math.sqrt(COUNT / 4.0));
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 2, 3})
  void summariesSayNothingThatTheDialogueDoesNot(long seed) {
    Set<String> values = new HashSet<>();
    for (String type :
        List.of("person", "name", "surname", "day", "month", "time", "city", "street", "color")) {
      values.addAll(SITUATIONS.values(type));
    }
    Pattern number = Pattern.compile("(?<!Person)\\d+");
    int checked = 0;
    for (Scene.Draft draft : BuiltInDialogues.drafts(new SplitMix64(seed), 2000)) {
      List<String> summaries = new ArrayList<>(draft.summaries());
      if (draft.rudeTail() != null) {
        summaries.add(draft.rudeTail());
        summaries.add(draft.politeTail());
      }
      for (String summary : summaries) {
        for (String value : values) {
          if (word(value).test(summary)) {
            checked++;
            assertTrue(word(value).test(draft.dialogue()), summary + "\n" + draft.dialogue());
          }
        }
        Matcher numbers = number.matcher(summary);
        while (numbers.find()) {
          checked++;
          assertTrue(
              word(numbers.group()).test(draft.dialogue()), summary + "\n" + draft.dialogue());
        }
        for (String fact : draft.smallTalkFacts()) {
          // "4 goals" were small talk, "4 pm" is not.
          String alone = "(?<![\\w:])" + Pattern.quote(fact) + "(?! [ap]m|:\\d|\\w)";
          assertFalse(Pattern.compile(alone).matcher(summary).find(), summary + "\n" + fact);
        }
      }
    }
    assertTrue(checked > 10_000, "facts: " + checked);
  }

  private static Predicate<String> word(String value) {
    return text -> {
      int at = text.indexOf(value);
      while (at >= 0) {
        int end = at + value.length();
        boolean starts = at == 0 || !Character.isLetterOrDigit(text.charAt(at - 1));
        if (starts && (end == text.length() || !Character.isLetterOrDigit(text.charAt(end)))) {
          return true;
        }
        at = text.indexOf(value, at + 1);
      }
      return false;
    };
  }

  @Test
  void aPartIsRudeAndCanBeToldPolitely() {
    Pattern insults =
        Pattern.compile(
            "\\b("
                + String.join("|", SITUATIONS.values("adjective"))
                + "|"
                + String.join("|", SITUATIONS.values("noun"))
                + ")\\b");
    int rude = 0;
    for (BuiltInDialogue each : all) {
      assertEquals(each.rude(), insults.matcher(each.dialogue()).find(), each.dialogue());
      if (each.rude()) {
        rude++;
        assertEquals(each.rudeSummary(), each.summaries().getFirst());
        assertTrue(insults.matcher(each.rudeSummary()).find(), each.rudeSummary());
        assertFalse(insults.matcher(each.politeSummary()).find(), each.politeSummary());
        assertEquals(each.politeSummary(), each.toJson().get("polite_summary"));
        assertEquals(each.rudeSummary(), each.toJson().get("rude_summary"));
      } else {
        assertNull(each.politeSummary());
        assertFalse(each.toJson().containsKey("rude_summary"));
      }
      List<String> others = each.summaries().subList(each.rude() ? 1 : 0, each.summaries().size());
      others.forEach(s -> assertFalse(insults.matcher(s).find(), s));
      assertEquals(each.rude(), each.toJson().get("rude"));
    }
    assertTrue(rude > COUNT / 6 && rude < COUNT / 4, "rude: " + rude);
  }

  @Test
  void pairsPreferThePoliteSummary() {
    BuiltInDialogue rude = all.stream().filter(BuiltInDialogue::rude).findFirst().orElseThrow();
    Map<String, Object> pair = rude.toPair(PromptTemplate.DEFAULT);
    assertEquals(List.of("id", "prompt", "chosen", "rejected"), List.copyOf(pair.keySet()));
    assertEquals(PromptTemplate.DEFAULT.fill(rude.dialogue()), pair.get("prompt"));
    assertEquals(rude.politeSummary(), pair.get("chosen"));
    assertEquals(rude.rudeSummary(), pair.get("rejected"));
    BuiltInDialogue other = all.stream().filter(each -> !each.rude()).findFirst().orElseThrow();
    assertThrows(IllegalStateException.class, () -> other.toPair(PromptTemplate.DEFAULT));
  }

  /** Every text is put right: no brackets left, no double spaces, sentences begin large. */
  @Test
  void textsAreTidy() {
    Pattern untidy =
        Pattern.compile(
            "[\\[\\](){}<>|~]|  | [.,?!]|[.?!,][.,]|[a-z]\\? [a-z]|\\. [a-z]"
                + "|\\ba [aeiou](?!s)|\\ban (?!hour)[^aeiouX]|\\bnull\\b");
    for (BuiltInDialogue each : all) {
      List<String> texts = new ArrayList<>(List.of(each.dialogue().split("\n")));
      texts.addAll(each.summaries());
      for (String text : texts) {
        assertFalse(untidy.matcher(text).find(), text);
        assertTrue(text.matches(".*[.?!]"), text);
      }
    }
  }

  @Test
  void countIsChecked() {
    for (int count : new int[] {-1, 9, BuiltInDialogues.MAX_COUNT + 1}) {
      InvalidInputException e =
          assertThrows(InvalidInputException.class, () -> BuiltInDialogues.generate(0, count));
      assertEquals("The number of dialogues must be 10 to 1000000, not " + count, e.getMessage());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "A: (one|two",
        "A: one)",
        "A: [one",
        "A: {slot",
        "A: <macro",
        "slot x @nothing",
        "who knows"
      })
  void mistakesInTheSentencesAreFound(String line) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Situations.parse("== topic\n" + line + "\n"));
    assertTrue(e.getMessage().startsWith("Line 2: "), e.getMessage());
  }

  /** A summary must not say what the dialogue may have left out. */
  @Test
  void aFactThatIsNotSaidIsFound() {
    String text =
        """
        values name: Ann | Bob | Cy
        values greeting: Hello
        == topic
        slot city Rome | Oslo
        -- case
        A: I go (far|to Rome, not Oslo).
        B: Good.
        = {A} goes to {city}.
        """;
    Situations situations = Situations.parse(text);
    SplitMix64 random = new SplitMix64(1);
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () -> {
              for (int i = 0; i < 100; i++) {
                Scene.write(situations, random);
              }
            });
    assertEquals(
        "A summary of 'topic, case' has {city}, which the dialogue has not", e.getMessage());
  }
}
