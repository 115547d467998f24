package dev.precis.review.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import dev.precis.Fixtures;
import dev.precis.alignment.preference.PreferenceExampleReader;
import dev.precis.alignment.reward.RewardExamples;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.data.Feedback;
import dev.precis.data.PreferencePair;
import dev.precis.data.PreferenceReader;
import dev.precis.io.InvalidInputException;
import dev.precis.review.comparison.CandidateText;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.Comparisons;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.PairSelection;
import dev.precis.review.comparison.Preference;
import dev.precis.review.comparison.Ratings;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Exports and imports. */
class ExchangeTest {
  @TempDir private Path folder;

  private static Choice choice(
      String annotator, int item, int first, Preference preference, Integer confidence) {
    return choice(annotator, item, first, preference, confidence, null, false);
  }

  private static Choice choice(
      String annotator,
      int item,
      int first,
      Preference preference,
      Integer confidence,
      String edit,
      boolean repeat) {
    return new Choice(
        annotator,
        "d" + item,
        first,
        1 - first,
        repeat,
        PairSelection.RANDOM,
        null,
        new Judgment(
            preference,
            confidence,
            Ratings.NONE,
            Ratings.NONE,
            preference == Preference.SKIP ? "odd" : null,
            edit,
            1.5));
  }

  /** Text 1 of d0 by two to one, text 0 of d1, no majority for d2, d3 bad, d4 a tie, d5 skipped. */
  private ComparisonProject project() {
    List<ComparisonItem> items = new ArrayList<>(Comparisons.items(6));
    items.addAll(Comparisons.gold(1));
    List<Choice> choices =
        new ArrayList<>(
            List.of(
                choice("Ann", 0, 0, Preference.SECOND, 9),
                choice("Ben", 0, 1, Preference.FIRST, 5),
                choice("Cem", 0, 0, Preference.FIRST, 3),
                choice("Ann", 1, 1, Preference.SECOND, null, "Ann says hello, \"1\".", false),
                choice("Ann", 1, 0, Preference.SECOND, 9, null, true),
                choice("Ann", 2, 0, Preference.FIRST, 9),
                choice("Ben", 2, 0, Preference.SECOND, 9),
                choice("Ann", 3, 0, Preference.BOTH_BAD, 9),
                choice("Ann", 4, 0, Preference.TIE, 2),
                choice("Ann", 5, 0, Preference.SKIP, null)));
    choices.add(
        new Choice(
            "Ann", "gold:0", 0, 1, false, PairSelection.GOLD, null, Judgment.of(Preference.FIRST)));
    Path votes = folder.resolve("votes");
    ComparisonProject.create(
        votes, Comparisons.settings(1, 0, "Ann", "Ben", "Cem"), items, choices);
    return ComparisonProject.read(votes);
  }

  private Path export(ComparisonProject project, ExportFormat format, boolean masked) {
    String end =
        switch (format) {
          case CSV -> "csv";
          case ARGILLA, LABEL_STUDIO -> "json";
          default -> "jsonl";
        };
    Path file = folder.resolve(format.id() + "." + end);
    ComparisonExport.write(project, format, masked, file);
    return file;
  }

  /** The readers of align and reward read the pairs as they are. */
  @Test
  void pairsTrainPoliciesAndRewardModels() {
    Path file = export(project(), ExportFormat.DPO, false);
    List<PreferencePair> pairs = PreferenceReader.readPairs(file);
    assertEquals(2, pairs.size());
    PreferencePair first = pairs.getFirst();
    assertEquals("d0", first.id());
    assertTrue(first.raw());
    assertEquals(
        PromptTemplate.DEFAULT.fill(Comparisons.items(1).getFirst().dialogue()), first.text());
    assertEquals("Ben is greeted 0 times.", first.chosen());
    assertEquals("Ann greets Ben, number 0.", first.rejected());
    assertEquals((1 + 0.5 - 0.25) / 3, first.margin(), 1e-12);
    assertEquals("Ann greets Ben, number 1.", pairs.get(1).chosen());
    assertEquals(0, pairs.get(1).margin());
    Tokenizer tokenizer = Tokenizer.load(Fixtures.folder("t5-tiny"));
    PreferenceExampleReader reader =
        new PreferenceExampleReader(tokenizer, PromptTemplate.DEFAULT, 512, 512, false);
    assertEquals(2, reader.readPairs(file, DataOptions.STRICT).examples().size());
    RewardExamples examples =
        new RewardExamples(
            Tokenizer.load(Fixtures.folder("roberta-tiny")), RewardTemplate.COMPLETION, 128);
    assertEquals(first.margin(), examples.pair(first, PromptTemplate.DEFAULT).margin(), 1e-12);
  }

  @Test
  void singleJudgmentsAndEditsAreReadToo() {
    ComparisonProject project = project();
    Path kto = export(project, ExportFormat.KTO, false);
    List<String> labels =
        PreferenceReader.readFeedback(kto).stream()
            .map((Feedback each) -> each.id() + each.completion().charAt(0) + each.good())
            .toList();
    assertEquals(
        List.of("d0Afalse", "d0Btrue", "d1Atrue", "d1Bfalse", "d3Afalse", "d3Bfalse"), labels);
    List<Dialogue> edits = DialogueReader.read(export(project, ExportFormat.SFT, false));
    assertEquals(1, edits.size());
    assertEquals(List.of("Ann says hello, \"1\"."), edits.getFirst().summaries());
    assertEquals(Comparisons.items(2).get(1).dialogue(), edits.getFirst().dialogue());
  }

  @Test
  void theTableHasEverything() throws IOException {
    List<String> lines = Files.readAllLines(export(project(), ExportFormat.CSV, false));
    assertEquals(12, lines.size());
    assertTrue(lines.getFirst().startsWith("number,at,annotator,item,first,second,preference,"));
    assertTrue(lines.get(1).contains(",Ann,d0,base,tuned,second,tuned,9,"), lines.get(1));
    assertTrue(lines.get(4).contains("\"Ann says hello, \"\"1\"\".\""), lines.get(4));
    assertTrue(lines.get(11).contains(",gold,"), lines.get(11));
  }

  /** What a spreadsheet would run as a formula is a text, whoever has written it. */
  @Test
  void noCellOfTheTableIsAFormula() throws IOException {
    Path votes = folder.resolve("formulas");
    ComparisonItem item =
        new ComparisonItem(
            "-d",
            "Ann: Hi.",
            false,
            List.of(
                new CandidateText("@base", "=HYPERLINK(\"http://evil.example\")", null),
                new CandidateText("+tuned", "\t=1+1", null)),
            false);
    Judgment judgment =
        new Judgment(Preference.FIRST, 9, Ratings.NONE, Ratings.NONE, null, "\r=2", 0.5);
    ComparisonProject.create(
        votes,
        Comparisons.settings(1, 0, "=Ann"),
        List.of(item),
        List.of(new Choice("=Ann", "-d", 0, 1, false, PairSelection.RANDOM, 0.25, judgment)));
    Path file = export(ComparisonProject.read(votes), ExportFormat.CSV, false);
    try (CsvReader<CsvRecord> reader = CsvReader.builder().ofCsvRecord(file)) {
      List<CsvRecord> rows = reader.stream().toList();
      for (String cell : rows.get(1).getFields()) {
        assertFalse(cell.matches("(?s)[=+\\-@\t\r].*"), cell);
      }
      assertTrue(rows.get(1).getFields().contains("'=HYPERLINK(\"http://evil.example\")"));
      assertTrue(rows.get(1).getFields().containsAll(List.of("'=Ann", "'-d", "'@base", "0.25")));
    }
  }

  /** An export that is imported gives the same answers, whatever the other program is. */
  @ParameterizedTest
  @EnumSource(names = {"OPENAI", "ARGILLA", "LABEL_STUDIO"})
  void exportsComeBack(ExportFormat format) {
    ComparisonProject project = project();
    Path file = export(project, format, false);
    ComparisonImport read = ComparisonImport.read(file, format);
    Path copy = folder.resolve("copy");
    read.writeProject(copy, 1);
    List<String> before = answers(project, format == ExportFormat.OPENAI);
    List<String> after = answers(ComparisonProject.read(copy), false);
    assertEquals(before, after);
    assertEquals(List.of("Ann", "Ben", "Cem"), read.annotators().stream().sorted().toList());
  }

  /** Returns who preferred which candidate's text of which item, in an order of its own. */
  private static List<String> answers(ComparisonProject project, boolean preferencesOnly) {
    return PairVotes.of(project).stream()
        .flatMap(votes -> votes.choices().stream().map(each -> answer(votes.item(), each)))
        .filter(each -> !each.endsWith("SKIP"))
        .filter(each -> !preferencesOnly || !each.matches(".*(TIE|BOTH_BAD)"))
        .sorted()
        .toList();
  }

  private static String answer(ComparisonItem item, Choice choice) {
    return "%s %s %s"
        .formatted(
            choice.annotator(),
            item.id(),
            choice.winner() < 0
                ? choice.judgment().preference()
                : item.texts().get(choice.winner()));
  }

  /** Files as the other programs write them, with fields that are not ours. */
  @Test
  void filesOfOtherProgramsAreRead() throws IOException {
    Path file = folder.resolve("other.json");
    Files.writeString(
        file,
        "{\"info\":{\"id\":\"t3\",\"post\":\"A cat"
            + " sat.\",\"title\":\"Cats\",\"subreddit\":\"pets\"},\"summaries\":[{\"text\":\" A"
            + " cat.\",\"policy\":\"ref\",\"note\":\"short\"},{\"text\":\"A"
            + " dog.\",\"policy\":\"sup2\",\"note\":null}],\"choice\":0,\"worker\":\"w1\",\"batch\":\"b\",\"split\":\"train\",\"extra\":{\"confidence\":7}}\n"
            + "{\"info\":{\"id\":\"x\",\"article\":\"News.\"},\"summaries\":[{\"text\":\"Same\"},{\"text\":\"Same\"}],\"choice\":1,\"worker\":\"w1\",\"extra\":{}}\n");
    ComparisonImport openai = ComparisonImport.read(file, ExportFormat.OPENAI);
    assertEquals(1, openai.same());
    assertEquals(7, openai.choices().getFirst().judgment().confidence());
    assertEquals(
        new CandidateText("ref", "A cat.", null), openai.items().getFirst().texts().get(0));
    Files.writeString(
        file,
        "[{\"id\":\"r1\",\"fields\":{\"prompt\":\"A cat sat.\",\"response-1\":\"A"
            + " cat.\",\"response-2\":\"A"
            + " dog.\"},\"responses\":[{\"user_id\":\"u1\",\"status\":\"submitted\","
            + "\"values\":{\"choose-best\":{\"value\":2}}},{\"user_id\":\"u2\",\"status\":\"discarded\","
            + "\"values\":{}}]}]");
    ComparisonImport argilla = ComparisonImport.read(file, ExportFormat.ARGILLA);
    assertEquals(1, argilla.choices().size());
    assertEquals(Preference.SECOND, argilla.choices().getFirst().judgment().preference());
    Files.writeString(
        file,
        "[{\"id\":7,\"data\":{\"prompt\":\"A cat sat.\",\"answer1\":\"A cat.\",\"answer2\":\"A"
            + " dog.\"},"
            + "\"annotations\":[{\"id\":1,\"completed_by\":{\"id\":3,\"email\":\"a@b.example\"},"
            + "\"was_cancelled\":false,\"result\":[{\"id\":\"q\",\"type\":\"pairwise\",\"value\":"
            + "{\"selected\":\"left\"},\"to_name\":\"text1,text2\",\"from_name\":\"pw\"}]},"
            + "{\"completed_by\":4,\"was_cancelled\":true,\"result\":[]}]}]");
    ComparisonImport tasks = ComparisonImport.read(file, ExportFormat.LABEL_STUDIO);
    assertEquals("a@b.example", tasks.choices().getFirst().annotator());
    assertEquals(Preference.FIRST, tasks.choices().getFirst().judgment().preference());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "[1]",
        "[{}]",
        "{",
        "[{\"info\":{\"id\":\"x\",\"post\":\"y\"},\"summaries\":[{\"text\":\"a\"}],\"choice\":0}]",
        "[{\"info\":{\"id\":\"x\",\"post\":\"y\"},\"summaries\":[1,2],\"choice\":0}]",
        "[{\"info\":{\"id\":\"x\",\"post\":\"y\"},\"summaries\":[{\"text\":\"a\"},{\"text\":\"b\"}],\"choice\":2}]",
        "[{\"info\":[],\"summaries\":[{\"text\":\"a\"},{\"text\":\"b\"}],\"choice\":0}]",
        "[{\"id\":1,\"data\":{\"text\":\"y\",\"text1\":\"a\",\"text2\":\"b\"},\"annotations\":[{\"result\":[{}]}]}]",
        "[{\"id\":\"r\",\"fields\":{\"text\":\"y\",\"summary_1\":\"a\",\"summary_2\":\"b\"},\"responses\":{\"q\":[{\"value\":\"maybe\"}]}}]"
      })
  void whatIsNoComparisonIsRefused(String content) throws IOException {
    Path file = Files.writeString(folder.resolve("bad.json"), content);
    for (ExportFormat format :
        List.of(ExportFormat.OPENAI, ExportFormat.ARGILLA, ExportFormat.LABEL_STUDIO)) {
      String said =
          assertThrows(InvalidInputException.class, () -> ComparisonImport.read(file, format))
              .getMessage();
      assertTrue(said.contains("bad.json"), said);
    }
    assertThrows(InvalidInputException.class, () -> ComparisonImport.read(file, ExportFormat.DPO));
  }

  @Test
  void nothingToWriteIsSaid() {
    Path votes = folder.resolve("empty");
    ComparisonProject.create(votes, Comparisons.settings(1, 0, "Ann"), Comparisons.items(2));
    ComparisonProject project = ComparisonProject.read(votes);
    for (ExportFormat format : ExportFormat.values()) {
      String said =
          assertThrows(InvalidInputException.class, () -> export(project, format, false))
              .getMessage();
      assertTrue(said.contains("has no "), said);
    }
  }

  @Test
  void namesNumbersAndAddressesAreMasked() throws IOException {
    String dialogue =
        "Zelda: Hi Quentin, call me on +49 30 1234567 or write to zelda.k@mail.example.\n"
            + "Quentin: ok zelda. Do you still live at 12 Maple Street?\n"
            + "Zelda: No, Hauptstraße 5 in Leipzig now. See www.example.com/z?q=1 for twenty"
            + " photos.\n"
            + "Quentin: Great. Will Xerxes come? He will like the photos.";
    List<ComparisonItem> items =
        List.of(
            Comparisons.item(
                "d0",
                new CandidateText("base", "Zelda moved from 12 Maple Street to Leipzig.", null),
                new CandidateText("tuned", "Xerxes sees 20 photos of Zelda's flat.", null)));
    items = List.of(new ComparisonItem("d0", dialogue, false, items.getFirst().texts(), false));
    Path votes = folder.resolve("votes");
    ComparisonProject.create(
        votes,
        Comparisons.settings(1, 0, "Ursula"),
        items,
        List.of(
            choice(
                "Ursula",
                0,
                0,
                Preference.SECOND,
                null,
                "Xerxes and Zelda meet in Leipzig at 9pm.",
                false)));
    ComparisonProject project = ComparisonProject.read(votes);
    for (ExportFormat format : ExportFormat.values()) {
      String text = Files.readString(export(project, format, true));
      for (String secret :
          List.of(
              "elda", "uentin", "eipzig", "Xerxes", "Maple", "Haupt", "1234567", "mail", "www",
              "twenty", "Ursula", "9pm")) {
        assertFalse(text.contains(secret), format + " shows " + secret + ": " + text);
      }
    }
    String pair = Files.readString(export(project, ExportFormat.DPO, true));
    assertTrue(
        pair.contains(
            "[NAME1]: Hi [NAME2], call me on [NUMBER] [NUMBER] [NUMBER] or write to [EMAIL]."),
        pair);
    assertTrue(pair.contains("\"rejected\":\"[NAME1] moved from [ADDRESS] to [NAME"), pair);
    assertTrue(pair.contains("photos of [NAME1]'s flat."), pair);
    assertTrue(pair.contains("will like the photos"), pair);
  }
}
