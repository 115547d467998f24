package dev.precis.cli.train;

import dev.precis.cli.page.Cards;
import dev.precis.cli.page.WordDifference;
import dev.precis.cli.report.RunReport;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.io.Json;
import dev.precis.text.Tokenizer;
import dev.precis.training.Example;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Summaries of a few dialogues before and after training, for the run's page. Those from before the
 * first step are in {@code first-summaries.json}, so that the page of a resumed run has them too.
 */
final class ExampleSummaries {
  private static final String FILE = "first-summaries.json";
  private static final String SUMMARIES = "summaries";
  private static final int MAX_NEW_TOKENS = 128;
  private static final int TOGETHER = 3;

  private final TrainableT5 t5;
  private final Tokenizer tokenizer;
  private final RunFolder run;
  private final List<Example> examples;
  private final boolean heldOut;

  /**
   * Chooses the dialogues, evenly spread.
   *
   * @param count how many at most; 0: none
   * @param evaluation held-out examples; where there are none, those of the training are taken
   */
  ExampleSummaries(
      TrainableT5 t5,
      Tokenizer tokenizer,
      RunFolder run,
      int count,
      List<Example> training,
      List<Example> evaluation) {
    this.t5 = t5;
    this.tokenizer = tokenizer;
    this.run = run;
    heldOut = !evaluation.isEmpty();
    List<Example> all = heldOut ? evaluation : training;
    int shown = Math.min(count, all.size());
    examples = new ArrayList<>();
    for (int i = 0; i < shown; i++) {
      examples.add(all.get((int) ((long) i * all.size() / shown)));
    }
  }

  /** Summarizes with the weights from before the first step. */
  void begin() {
    ObjectNode json = Json.mapper().createObjectNode();
    ArrayNode list = json.putArray(SUMMARIES);
    generate().forEach(list::add);
    run.write(FILE, json.toPrettyString() + "\n");
  }

  private List<String> generate() {
    if (examples.isEmpty()) {
      return List.of();
    }
    List<int[]> sources = examples.stream().map(Example::source).toList();
    int longest = sources.stream().mapToInt(each -> each.length).max().orElseThrow();
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(MAX_NEW_TOKENS).maxSourceTokens(longest).build();
    String[] summaries = new String[sources.size()];
    try (Generator generator = new Generator(t5.model())) {
      // One by one: a batch of long sources would need memory that the plan of the run has not.
      generator.generate(
          sources,
          options,
          1,
          0,
          null,
          (source, results) ->
              summaries[source] = tokenizer.decode(results.getFirst().tokens(), true));
    } finally {
      t5.ops().release();
    }
    return Arrays.asList(summaries);
  }

  /** Summarizes with the present weights, and adds the cards to a report. */
  void addTo(RunReport report) {
    List<String> after = generate();
    if (after.isEmpty()) {
      return;
    }
    Path file = run.folder().resolve(FILE);
    List<String> before = Files.exists(file) ? Json.readObject(file).texts(SUMMARIES) : List.of();
    Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
    boolean compared = before.size() == after.size();
    List<Cards.Card> cards = new ArrayList<>();
    for (int i = 0; i < after.size(); i++) {
      cards.add(card(rouge, i, compared ? before.get(i) : null, after.get(i)));
    }
    String remark =
        "Greedy summaries of %d dialogues%s. Marked words are not in the reference."
            .formatted(
                cards.size(),
                heldOut
                    ? " of the evaluation data, evenly spread"
                    : " that the model has learned from, because there is no evaluation data");
    report.lastSection(
        "Examples",
        new Cards(remark, "precis generate summarizes all dialogues.", TOGETHER, cards).html());
  }

  private Cards.Card card(Rouge rouge, int index, String before, String after) {
    Example example = examples.get(index);
    String reference = tokenizer.decode(example.target(), true);
    double now = score(rouge, after, reference);
    List<Cards.Entry> entries = new ArrayList<>();
    entries.add(Cards.Entry.plain("reference", "", reference));
    List<String> tags = List.of();
    if (before != null) {
      double earlier = score(rouge, before, reference);
      entries.add(entry("before training", earlier, before, reference));
      tags =
          List.of(
              now > earlier
                  ? "higher ROUGE-1"
                  : now < earlier ? "lower ROUGE-1" : "the same ROUGE-1");
    }
    entries.add(entry("after training", now, after, reference));
    return new Cards.Card(
        "Dialogue " + (index + 1), "", tags, tokenizer.decode(example.source(), true), entries);
  }

  private static double score(Rouge rouge, String summary, String reference) {
    return rouge.score(summary, List.of(reference), Rouge.MultiReference.MAX).rouge1().f1();
  }

  private static Cards.Entry entry(String name, double score, String text, String reference) {
    return new Cards.Entry(
        name,
        String.format(Locale.ROOT, "ROUGE-1 %.2f", score),
        WordDifference.of(reference, text).afterHtml());
  }
}
