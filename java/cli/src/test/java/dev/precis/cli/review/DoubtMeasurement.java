package dev.precis.cli.review;

import dev.precis.Classifier;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Score;
import dev.precis.cli.CommandLineRun;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.review.comparison.CandidateText;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonPair;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.review.comparison.ComparisonSettings;
import dev.precis.review.comparison.ComparisonTask;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.PairSelection;
import dev.precis.review.comparison.Preference;
import dev.precis.review.exchange.ComparisonExport;
import dev.precis.review.exchange.ExportFormat;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/**
 * The accuracy of a reward model by the number of its labels, which the built-in judge gives in
 * place of a person: of pairs in random order, or of those first of which the model of the round
 * before was least sure. A reward model is made from random weights in each round.
 */
final class DoubtMeasurement implements AutoCloseable {
  private static final String ANNOTATOR = "judge";

  /** Without dropout a model is sure of what it has not seen, and its doubt says little. */
  private static final double DROPOUT = 0.1;

  /** So many built-in dialogues are made for each of the pool, because not all have three. */
  private static final int DIALOGUES_EACH = 5;

  private final Path folder;
  private final BuiltInModel builtIn = BuiltInModel.toxicity();
  private final ClassifierReward judge = load(builtIn.folder(), "nothate");
  private final Map<String, Double> judged = new HashMap<>();
  private final Setting setting;

  /**
   * The size of a measurement.
   *
   * @param dialogues of the pool; the accuracy is measured on others, as many at most
   * @param rounds numbers of labels after which a reward model is trained
   * @param steps of each training, of 16 pairs
   */
  record Setting(int dialogues, List<Integer> rounds, int steps) {}

  DoubtMeasurement(Path folder, Setting setting) {
    this.folder = folder;
    this.setting = setting;
  }

  private static ClassifierReward load(Path model, String label) {
    return ClassifierReward.load(
        model,
        new Classifier.LoadOptions().threads(1),
        label,
        ClassifierReward.Measure.LOGIT,
        null);
  }

  /** Returns dialogues with three summaries in different words, which make three pairs. */
  private static List<ComparisonItem> items(List<BuiltInDialogue> dialogues, int most) {
    return dialogues.stream()
        .filter(each -> each.summaries().size() == 3)
        .limit(most)
        .map(DoubtMeasurement::item)
        .toList();
  }

  private static ComparisonItem item(BuiltInDialogue dialogue) {
    return new ComparisonItem(
        dialogue.id(),
        dialogue.dialogue(),
        false,
        List.of(
            new CandidateText("one", dialogue.summaries().get(0), null),
            new CandidateText("two", dialogue.summaries().get(1), null),
            new CandidateText("three", dialogue.summaries().get(2), null)),
        false);
  }

  private double judge(String text) {
    return judged.computeIfAbsent(text, any -> score(judge, List.of(text)).getFirst());
  }

  private static List<Double> score(ClassifierReward reward, List<String> texts) {
    return reward
        .checked(texts.stream().map(text -> new Completion("", "", text, List.of())).toList())
        .stream()
        .map(Score::value)
        .toList();
  }

  /** Returns the accuracy after each round. */
  List<Double> run(long seed, boolean doubt) throws Exception {
    BuiltInDialogues data =
        BuiltInDialogues.generate(100 + seed, DIALOGUES_EACH * setting.dialogues());
    List<ComparisonItem> pool = items(data.train(), setting.dialogues());
    List<ComparisonPair> test = new ArrayList<>();
    for (List<BuiltInDialogue> split : List.of(data.validation(), data.test())) {
      items(split, setting.dialogues()).forEach(item -> test.addAll(ComparisonPair.of(item)));
    }
    Path votes = folder.resolve("votes-" + seed + "-" + doubt);
    ComparisonProject.create(
        votes,
        new ComparisonSettings(
            seed,
            1,
            0,
            List.of(ANNOTATOR),
            "",
            PromptTemplate.DEFAULT.text(),
            PairSelection.RANDOM),
        pool);
    List<Double> accuracies = new ArrayList<>();
    int done = 0;
    for (int labels : setting.rounds()) {
      label(votes, labels - done);
      done = labels;
      Path trained = folder.resolve("reward-" + seed + "-" + doubt + "-" + labels);
      train(votes, trained, seed);
      try (ClassifierReward reward = load(trained.resolve("model"), null)) {
        accuracies.add(accuracy(reward, test));
        if (doubt) {
          rescore(votes, reward);
        }
      }
    }
    return accuracies;
  }

  private void label(Path votes, int count) {
    try (ComparisonSession session = ComparisonSession.open(ComparisonProject.read(votes))) {
      for (int i = 0; i < count; i++) {
        ComparisonTask task = session.next(ANNOTATOR, 1).getFirst();
        boolean first = judge(task.first()) > judge(task.second());
        session.choose(
            ANNOTATOR, task.id(), Judgment.of(first ? Preference.FIRST : Preference.SECOND));
      }
    }
  }

  private void train(Path votes, Path output, long seed) {
    Path pairs = output.resolveSibling(output.getFileName() + ".jsonl");
    ComparisonExport.write(ComparisonProject.read(votes), ExportFormat.DPO, false, pairs);
    CommandLineRun.run(
            "reward",
            "--init",
            builtIn.folder(),
            "--pairs",
            pairs,
            "--holdout",
            0,
            "--seed",
            seed,
            "--max-steps",
            setting.steps(),
            "--batch-size",
            16,
            "--learning-rate",
            "1e-3",
            "--dropout",
            DROPOUT,
            "--warmup-steps",
            20,
            "--threads",
            1,
            "--output",
            output)
        .succeeded();
  }

  private static void rescore(Path votes, ClassifierReward reward) {
    ComparisonProject project = ComparisonProject.read(votes);
    List<String> texts = new ArrayList<>();
    project.items().forEach(item -> item.texts().forEach(each -> texts.add(each.text())));
    Iterator<Double> scores = score(reward, texts).iterator();
    List<ComparisonItem> scored = new ArrayList<>();
    for (ComparisonItem item : project.items()) {
      scored.add(item.withScores(item.texts().stream().map(each -> scores.next()).toList()));
    }
    project.withScores(scored, "0".repeat(64));
  }

  /** Returns the share of pairs that a reward model and the judge decide in the same way. */
  private double accuracy(ClassifierReward reward, List<ComparisonPair> test) {
    List<String> texts = new ArrayList<>();
    test.forEach(
        pair ->
            List.of(pair.a(), pair.b())
                .forEach(each -> texts.add(pair.item().texts().get(each).text())));
    List<Double> scores = score(reward, texts);
    List<Double> judged = score(judge, texts);
    int right = 0;
    for (int i = 0; i < texts.size(); i += 2) {
      right += scores.get(i) > scores.get(i + 1) == judged.get(i) > judged.get(i + 1) ? 1 : 0;
    }
    return 2.0 * right / texts.size();
  }

  @Override
  public void close() {
    judge.close();
    builtIn.close();
  }
}
