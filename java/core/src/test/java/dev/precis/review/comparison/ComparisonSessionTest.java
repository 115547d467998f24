package dev.precis.review.comparison;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import dev.precis.review.Journal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ComparisonSessionTest {
  @TempDir private Path folder;

  private ComparisonProject project(ComparisonSettings settings, List<ComparisonItem> items) {
    return Comparisons.project(folder.resolve("votes"), settings, items);
  }

  @Test
  void everyCandidateStandsFirstAsOftenAsSecond() {
    ComparisonProject project =
        project(Comparisons.settings(2, 0, "Ann", "Ben"), Comparisons.items(40));
    try (ComparisonSession session = ComparisonSession.open(project)) {
      for (String name : List.of("Ann", "Ben")) {
        int base = 0;
        for (int i = 0; i < 40; i++) {
          ComparisonTask task = session.next(name, 1).getFirst();
          base += task.first().startsWith("Ann greets") ? 1 : 0;
          session.choose(name, task.id(), Judgment.of(Preference.FIRST));
          assertTrue(Math.abs(2 * base - (i + 1)) <= 2, base + " of " + (i + 1));
        }
        assertEquals(20, base);
      }
    }
    Map<String, Set<String>> firsts = new HashMap<>();
    project
        .choices()
        .forEach(
            each ->
                firsts
                    .computeIfAbsent(each.choice().annotator(), any -> new HashSet<>())
                    .add(each.choice().item() + each.choice().first()));
    assertNotEquals(firsts.get("Ann"), firsts.get("Ben"), "the places are drawn for everybody");
  }

  @Test
  void everyPairGetsAsManyAnswersAsItNeeds() {
    ComparisonProject project =
        project(Comparisons.settings(2, 0, "Ann", "Ben", "Cem"), Comparisons.items(30));
    try (ComparisonSession session = ComparisonSession.open(project)) {
      List<String> names = List.of("Ann", "Ben", "Cem");
      boolean more = true;
      while (more) {
        more = false;
        for (String name : names) {
          List<ComparisonTask> next = session.next(name, 2);
          if (!next.isEmpty()) {
            session.choose(name, next.getFirst().id(), Judgment.of(Preference.TIE));
            more = true;
          }
        }
      }
      ComparisonSession.Progress progress = session.progress("Ann");
      assertEquals(60, progress.have());
      assertEquals(60, progress.need());
    }
    Map<String, Integer> counts = new HashMap<>();
    project.choices().forEach(each -> counts.merge(each.choice().item(), 1, Integer::sum));
    assertEquals(30, counts.size());
    assertTrue(counts.values().stream().allMatch(each -> each >= 2 && each <= 3), "" + counts);
    assertTrue(counts.values().stream().mapToInt(each -> each).sum() <= 64, "" + counts);
  }

  /** One annotator has a pair on the screen and leaves: the others get it in the end. */
  @Test
  void whatSomebodyLeavesIsDoneByOthers() {
    ComparisonProject project =
        project(Comparisons.settings(1, 0, "Ann", "Ben"), Comparisons.items(5));
    try (ComparisonSession session = ComparisonSession.open(project)) {
      Set<String> left = new HashSet<>();
      session.next("Ann", 2).forEach(task -> left.add(task.dialogue()));
      Set<String> early = new HashSet<>();
      session.next("Ben", 2).forEach(task -> early.add(task.dialogue()));
      assertTrue(left.stream().noneMatch(early::contains));
      assertEquals(5, Comparisons.answerAll(session, "Ben", Preference.SECOND));
    }
  }

  @Test
  void theSameTasksComeUntilTheyAreAnsweredAlsoAfterARestart() {
    ComparisonProject project = project(Comparisons.settings(1, 0.2, "Ann"), Comparisons.items(20));
    List<ComparisonTask> before;
    try (ComparisonSession session = ComparisonSession.open(project)) {
      for (int i = 0; i < 9; i++) {
        before = session.next("Ann", 2);
        assertEquals(before, session.next("Ann", 2));
        session.choose("Ann", before.getFirst().id(), Judgment.of(Preference.FIRST));
        assertEquals(before.get(1), session.next("Ann", 1).getFirst(), "the prefetched one");
      }
      before = session.next("Ann", 2);
    }
    try (ComparisonSession session =
        ComparisonSession.open(ComparisonProject.read(project.folder()))) {
      assertEquals(before, session.next("Ann", 2));
      session.choose("Ann", before.getFirst().id(), Judgment.of(Preference.FIRST));
      assertEquals(10, session.progress("Ann").done());
    }
  }

  @Test
  void anAnswerIsTakenBackByAnEntry() throws IOException {
    ComparisonProject project = project(Comparisons.settings(1, 0, "Ann"), Comparisons.items(3));
    Path journal = project.folder().resolve("choices.jsonl");
    try (ComparisonSession session = ComparisonSession.open(project)) {
      assertTrue(session.undo("Ann").isEmpty());
      ComparisonTask task = session.next("Ann", 2).getFirst();
      long number = session.choose("Ann", task.id(), Judgment.of(Preference.FIRST));
      List<String> lines = Files.readAllLines(journal);
      assertEquals(number, session.undo("Ann").orElseThrow());
      assertEquals(task, session.next("Ann", 2).getFirst());
      session.choose("Ann", task.id(), Judgment.of(Preference.SECOND));
      assertEquals(lines, Files.readAllLines(journal).subList(0, lines.size()));
      assertEquals(lines.size() + 2, Files.readAllLines(journal).size());
    }
    List<RecordedChoice> choices = project.choices();
    assertEquals(1, choices.size());
    assertEquals(Preference.SECOND, choices.getFirst().choice().judgment().preference());
  }

  /** An answer whose acknowledgement was lost is sent again. */
  @Test
  void theSameAnswerTwiceIsOneAnswer() {
    ComparisonProject project = project(Comparisons.settings(1, 0, "Ann"), Comparisons.items(3));
    try (ComparisonSession session = ComparisonSession.open(project)) {
      String task = session.next("Ann", 2).getFirst().id();
      Judgment judgment =
          new Judgment(
              Preference.FIRST,
              8,
              new Ratings(Map.of("accuracy", 6)),
              Ratings.NONE,
              null,
              "Better.",
              2.5);
      long number = session.choose("Ann", task, judgment);
      assertEquals(number, session.choose("Ann", task, judgment));
      refused(
          "answered this comparison before",
          () -> session.choose("Ann", task, Judgment.of(Preference.TIE)));
      assertEquals(judgment, project.choices().getFirst().choice().judgment());
      assertEquals(1, project.choices().size());
    }
  }

  @Test
  void tasksOfOthersAndForgedOnesAreRefused() {
    ComparisonProject project =
        project(Comparisons.settings(2, 0, "Ann", "Ben"), Comparisons.items(3));
    try (ComparisonSession session = ComparisonSession.open(project)) {
      String task = session.next("Ann", 1).getFirst().id();
      Judgment judgment = Judgment.of(Preference.FIRST);
      refused("does not exist", () -> session.choose("Ben", task, judgment));
      for (String forged :
          List.of(
              "",
              "0",
              "../secret",
              "0".repeat(32),
              "f".repeat(32),
              task.toUpperCase(),
              task + "0")) {
        refused("does not exist", () -> session.choose("Ann", forged, judgment));
      }
      assertEquals(List.of(), project.choices());
    }
  }

  @Test
  void repeatsAndGoldPairsLookLikeAllOthers() {
    List<ComparisonItem> items = new ArrayList<>(Comparisons.items(60));
    items.addAll(Comparisons.gold(6));
    ComparisonProject project = project(Comparisons.settings(1, 0.1, "Ann"), items);
    Set<String> ids = new HashSet<>();
    int answers = 0;
    try (ComparisonSession session = ComparisonSession.open(project)) {
      for (List<ComparisonTask> next = session.next("Ann", 2);
          !next.isEmpty();
          next = session.next("Ann", 2)) {
        String id = next.getFirst().id();
        assertTrue(ids.add(id) && id.matches("[0-9a-f]{32}"), id);
        session.choose("Ann", id, Judgment.of(Preference.FIRST));
        answers++;
      }
    }
    List<Choice> choices = project.choices().stream().map(RecordedChoice::choice).toList();
    int[] repeats =
        IntStream.range(0, choices.size()).filter(i -> choices.get(i).repeat()).toArray();
    assertTrue(repeats.length >= 5 && repeats.length <= 8, repeats.length + " of " + answers);
    for (int i : repeats) {
      Choice again = choices.get(i);
      Choice before =
          choices.stream().filter(each -> each.key().equals(again.key())).findFirst().orElseThrow();
      assertEquals(before.first(), again.second(), "the places are changed");
      assertTrue(i - choices.indexOf(before) >= 5, "not at once");
      assertEquals(PairSelection.REPEAT, again.selection());
    }
    int[] gold =
        IntStream.range(0, choices.size())
            .filter(i -> choices.get(i).selection() == PairSelection.GOLD)
            .toArray();
    assertEquals(6, gold.length);
    assertTrue(gold[2] < choices.size() / 2 && gold[3] > choices.size() / 3, "spread over all");
  }

  @Test
  void thePairOfWhichTheRewardModelIsLeastSureComesFirst() {
    List<ComparisonItem> items = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      items.add(
          Comparisons.item(
              "d" + i,
              new CandidateText("base", "one " + i, 0.0),
              new CandidateText("tuned", "two " + i, i % 2 == 0 ? 0.1 * (i + 1) : -0.1 * (i + 1))));
    }
    ComparisonSettings settings =
        new ComparisonSettings(
            1, 1, 0, List.of("Ann"), "", Comparisons.TEMPLATE, PairSelection.LEAST_SURE);
    ComparisonProject project = project(settings, items);
    try (ComparisonSession session = ComparisonSession.open(project)) {
      Comparisons.answerAll(session, "Ann", Preference.TIE);
    }
    List<RecordedChoice> choices = project.choices();
    for (int i = 0; i < 10; i++) {
      Choice choice = choices.get(i).choice();
      assertEquals("d" + i, choice.item());
      assertEquals(PairSelection.LEAST_SURE, choice.selection());
      double difference = (i % 2 == 0 ? -1 : 1) * 0.1 * (i + 1);
      double ofBase = 1 / (1 + Math.exp(-difference));
      assertEquals(choice.first() == 0 ? ofBase : 1 - ofBase, choice.probability(), 1e-12);
    }
  }

  /** A reward model that was trained meanwhile changes the order, and no answer. */
  @Test
  void scoresOfAnotherRewardModelChangeTheOrder() throws IOException {
    ComparisonProject project = project(Comparisons.settings(1, 0.2, "Ann"), Comparisons.items(30));
    ComparisonTask open;
    try (ComparisonSession session = ComparisonSession.open(project)) {
      for (int i = 0; i < 6; i++) {
        choose(session, Preference.FIRST);
      }
      open = session.next("Ann", 1).getFirst(); // a page that stays open
      refused("open in another process", () -> project.withScores(project.items(), "0"));
    }
    List<RecordedChoice> before = project.choices();
    List<ComparisonItem> scored = new ArrayList<>();
    for (ComparisonItem item : project.items()) {
      scored.add(item.withScores(List.of(0.0, 10.0 - scored.size() / 3.0)));
    }
    ComparisonProject changed = project.withScores(scored, "abc");
    assertEquals(PairSelection.LEAST_SURE, changed.settings().selection());
    try (ComparisonSession session =
        ComparisonSession.open(ComparisonProject.read(project.folder()))) {
      session.choose("Ann", open.id(), Judgment.of(Preference.FIRST));
      while (!session.next("Ann", 1).isEmpty()) {
        choose(session, Preference.FIRST);
      }
    }
    List<Choice> after = changed.choices().stream().map(RecordedChoice::choice).toList();
    assertEquals(
        before.stream().map(RecordedChoice::choice).toList(), after.subList(0, before.size()));
    // The answer from the open page is about the texts that stood on it.
    Choice late = after.get(before.size());
    assertEquals(
        open.first(), changed.itemOf(changed.choices().get(6)).texts().get(late.first()).text());
    double doubt = 0;
    for (Choice each : after.subList(before.size() + 1, after.size())) {
      if (!each.repeat()) {
        assertEquals(PairSelection.LEAST_SURE, each.selection());
        double now = Math.abs(each.probability() - 0.5);
        assertTrue(now >= doubt, "the least sure first");
        doubt = now;
      }
    }
    // Repeats have the places changed, whatever the order was when the pair came first.
    for (Choice again : after.stream().filter(Choice::repeat).toList()) {
      Choice first =
          after.stream()
              .filter(each -> !each.repeat() && each.key().equals(again.key()))
              .findFirst()
              .orElseThrow();
      assertEquals(first.first(), again.second());
    }
    assertTrue(after.stream().anyMatch(Choice::repeat));
    assertTrue(
        Files.readString(project.folder().resolve("choices.jsonl"))
            .contains("\"reward_model_sha256\":\"abc\""));
    assertThrows(
        IllegalArgumentException.class, () -> changed.withScores(scored.subList(0, 3), "abc"));
  }

  /** A process that ends between the two writes leaves the items as they were. */
  @Test
  void aRescoringThatWasCutOffChangesNothing() throws IOException {
    ComparisonProject project = project(Comparisons.settings(1, 0, "Ann"), Comparisons.items(5));
    Path items = project.folder().resolve("items.jsonl");
    List<ComparisonItem> scored =
        project.items().stream().map(item -> item.withScores(List.of(0.0, 1.0))).toList();
    for (int i = 0; i < 3; i++) {
      String old = Files.readString(items);
      ComparisonProject.read(project.folder()).withScores(scored, "abc");
      Files.writeString(items, old);
      ComparisonProject read = ComparisonProject.read(project.folder());
      assertEquals(project.items(), read.items());
    }
    assertEquals(
        scored, ComparisonProject.read(project.folder()).withScores(scored, "abc").items());
    assertEquals(scored, ComparisonProject.read(project.folder()).items());
  }

  private static void choose(ComparisonSession session, Preference preference) {
    session.choose("Ann", session.next("Ann", 1).getFirst().id(), Judgment.of(preference));
  }

  @Test
  void whatIsErasedIsGoneAndTheChainHolds() throws IOException {
    ComparisonProject project = project(Comparisons.settings(1, 0, "Ann"), Comparisons.items(4));
    String stale;
    try (ComparisonSession session = ComparisonSession.open(project)) {
      for (int i = 0; i < 3; i++) {
        session.choose(
            "Ann", session.next("Ann", 1).getFirst().id(), Judgment.of(Preference.FIRST));
      }
      stale = session.next("Ann", 1).getFirst().id();
      refused("open in another process", () -> ComparisonProject.erase(project.folder(), "d0"));
    }
    List<String> answered = project.choices().stream().map(each -> each.choice().item()).toList();
    String erased = answered.getFirst();
    assertTrue(ComparisonProject.erase(project.folder(), erased));
    assertFalse(ComparisonProject.erase(project.folder(), erased));
    for (String name : List.of("items.jsonl", "choices.jsonl")) {
      String text = Files.readString(project.folder().resolve(name));
      assertFalse(text.contains("\"" + erased + "\""), text);
      assertFalse(text.contains("this is " + erased + "."), text);
    }
    ComparisonProject after = ComparisonProject.read(project.folder());
    assertEquals(
        answered.subList(1, 3),
        after.choices().stream().map(each -> each.choice().item()).toList());
    assertEquals(5, Journal.read(project.folder().resolve("choices.jsonl")).size());
    try (ComparisonSession session = ComparisonSession.open(after)) {
      // Another pair has moved to the place of the erased one in the list.
      String valid = session.next("Ann", 1).getFirst().id();
      if (!valid.equals(stale)) {
        refused("does not exist", () -> session.choose("Ann", stale, Judgment.of(Preference.TIE)));
      }
      assertEquals(1, Comparisons.answerAll(session, "Ann", Preference.TIE));
    }
  }

  @Test
  void changesByOtherMeansShow() throws IOException {
    ComparisonProject project = project(Comparisons.settings(1, 0, "Ann"), Comparisons.items(3));
    Path items = project.folder().resolve("items.jsonl");
    String good = Files.readString(items);
    Files.writeString(items, good.replace("base", "best"));
    refused("changed by other means", () -> ComparisonProject.read(project.folder()));
    Files.writeString(items, good);
    ComparisonProject.read(project.folder());
    Path secret = project.folder().resolve("secret");
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(secret)));
    Files.writeString(secret, "short");
    refused("hexadecimal digits", () -> ComparisonProject.read(project.folder()));
  }

  @Test
  void whatCannotBeIsRefused() {
    refused(
        "nothing to compare",
        () ->
            project(
                Comparisons.settings(1, 0, "Ann"),
                List.of(
                    Comparisons.item(
                        "d",
                        new CandidateText("base", "Same.", null),
                        new CandidateText("tuned", " Same. ", null)))));
    List<ComparisonItem> twice =
        List.of(Comparisons.items(1).getFirst(), Comparisons.items(1).getFirst());
    refused("id 'd0'", () -> project(Comparisons.settings(1, 0, "Ann"), twice));
    refused("only 1 annotators", () -> Comparisons.settings(2, 0, "Ann"));
    refused("same name", () -> Comparisons.settings(1, 0, "Ann", "Ann"));
    refused("0 to 0.5", () -> Comparisons.settings(1, 0.6, "Ann"));
    refused("without spaces", () -> Comparisons.settings(1, 0, " Ann"));
    refused("2 or more", () -> Comparisons.item("d", new CandidateText("base", "One.", null)));
    refused("needs a reason", () -> Judgment.of(Preference.SKIP));
    refused(
        "from 1 to 9",
        () -> new Judgment(Preference.TIE, 10, Ratings.NONE, Ratings.NONE, null, null, null));
    refused(
        "edit replaces",
        () -> new Judgment(Preference.TIE, 1, Ratings.NONE, Ratings.NONE, null, "x", null));
    refused("from 1 to 7", () -> new Ratings(Map.of("overall", 8)));
    refused("axis", () -> new Ratings(Map.of("style", 3)));
    refused("no comparison project", () -> ComparisonProject.read(folder));
  }

  /** A request that is interrupted, as by a time limit, must not end the journal for the others. */
  @Test
  void anInterruptDoesNotCloseTheJournal() {
    ComparisonProject project = project(Comparisons.settings(1, 0, "Ann"), Comparisons.items(5));
    try (ComparisonSession session = ComparisonSession.open(project)) {
      for (int i = 0; i < 5; i++) {
        Thread.currentThread().interrupt();
        session.choose(
            "Ann", session.next("Ann", 1).getFirst().id(), Judgment.of(Preference.FIRST));
        assertTrue(Thread.interrupted());
      }
    }
    assertEquals(5, project.choices().size());
  }

  @Test
  void tokensAreDifferentAndStay() {
    ComparisonProject project =
        project(Comparisons.settings(1, 0, "Ann", "Ben"), Comparisons.items(2));
    ComparisonProject more = project.withAnnotators(List.of("Ben", "Cem"));
    assertEquals(List.of("Ann", "Ben", "Cem"), more.settings().annotators());
    assertEquals(project.token("Ann"), ComparisonProject.read(project.folder()).token("Ann"));
    Set<String> tokens = new HashSet<>();
    more.settings().annotators().forEach(name -> tokens.add(more.token(name)));
    assertEquals(3, tokens.size());
  }

  private static void refused(String part, Runnable action) {
    String said = assertThrows(InvalidInputException.class, action::run).getMessage();
    assertTrue(said.contains(part), said);
  }
}
