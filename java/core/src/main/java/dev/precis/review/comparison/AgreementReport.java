package dev.precis.review.comparison;

import dev.precis.evaluation.Agreement;
import dev.precis.evaluation.PairwiseRanking;
import dev.precis.evaluation.PairwiseRanking.Comparison;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Agreement of annotators with each other, with themselves and with known answers, and a ranking of
 * the candidates. Gold pairs and repeats count where they are named and nowhere else; pairs that
 * were skipped count nowhere.
 *
 * @param answers answers that are not skipped, repeats and gold pairs left out
 * @param skipped pairs that were skipped
 * @param kappas Cohen's kappa of each two annotators with a pair in common
 * @param fleissKappa of the pairs with the most frequent number of answers; NaN if no pair has two
 * @param alpha Krippendorff's alpha, nominal, with its bootstrap interval; null likewise
 * @param position how often the first place won
 * @param ranking candidates, the strongest first
 */
public record AgreementReport(
    int answers,
    int skipped,
    List<Kappa> kappas,
    double fleissKappa,
    Agreement.Interval alpha,
    Position position,
    List<AnnotatorReport> annotators,
    List<Standing> ranking) {
  /** Samples of a bootstrap that are enough for the two digits people read. */
  public static final int DRAWS = 1000;

  private static final int CATEGORIES = 4;

  /** Copies the lists. */
  public AgreementReport {
    kappas = List.copyOf(kappas);
    annotators = List.copyOf(annotators);
    ranking = List.copyOf(ranking);
  }

  /** Cohen's kappa of two annotators on the pairs that both answered. */
  public record Kappa(String first, String second, int pairs, double kappa) {}

  /**
   * The place of the preferred texts.
   *
   * @param first how often the first one was preferred
   * @param decided how often one was
   * @param pValue of the hypothesis that the place decides nothing
   */
  public record Position(int first, int decided, double pValue) {}

  /**
   * One annotator.
   *
   * @param medianSeconds NaN if no time is known
   * @param consistent of the repeats, how many have the same answer again
   * @param goldRight of the gold pairs, how many have the known answer
   */
  public record AnnotatorReport(
      String name,
      int answers,
      int skipped,
      double medianSeconds,
      int repeats,
      int consistent,
      int gold,
      int goldRight) {}

  /**
   * One candidate.
   *
   * @param strength by Bradley and Terry, in natural logarithms, with mean 0, and its interval
   */
  public record Standing(
      String candidate, Agreement.Interval strength, int wins, int losses, int ties) {}

  /**
   * Evaluates the choices of a project.
   *
   * @param draws samples of each bootstrap, {@link #DRAWS} is usual
   */
  public static AgreementReport of(ComparisonProject project, int draws, long seed) {
    List<RecordedChoice> all = project.choices();
    Map<String, Map<ComparisonPair.Key, Integer>> byAnnotator = new TreeMap<>();
    int answers = 0;
    int skipped = 0;
    int first = 0;
    int decided = 0;
    for (RecordedChoice recorded : all) {
      Choice choice = recorded.choice();
      skipped += choice.judgment().preference() == Preference.SKIP ? 1 : 0;
      first += choice.judgment().preference() == Preference.FIRST ? 1 : 0;
      decided += choice.winner() >= 0 ? 1 : 0;
      if (counts(project, recorded)) {
        answers++;
        byAnnotator
            .computeIfAbsent(choice.annotator(), any -> new LinkedHashMap<>())
            .put(choice.key(), choice.category());
      }
    }
    double[][] ratings = ratings(byAnnotator);
    boolean shared = sharedPairs(ratings) > 0;
    return new AgreementReport(
        answers,
        skipped,
        kappas(byAnnotator),
        fleiss(ratings),
        shared ? Agreement.krippendorffAlpha(ratings, Agreement.Level.NOMINAL, draws, seed) : null,
        new Position(first, decided, PairwiseRanking.positionBias(first, decided)),
        annotators(project, all),
        ranking(project, all, draws, seed));
  }

  private static boolean counts(ComparisonProject project, RecordedChoice recorded) {
    Choice choice = recorded.choice();
    return !choice.repeat()
        && choice.judgment().preference() != Preference.SKIP
        && !project.itemOf(recorded).gold();
  }

  private static double[][] ratings(Map<String, Map<ComparisonPair.Key, Integer>> byAnnotator) {
    Map<ComparisonPair.Key, Integer> columns = new HashMap<>();
    byAnnotator
        .values()
        .forEach(each -> each.keySet().forEach(key -> columns.putIfAbsent(key, columns.size())));
    double[][] ratings = new double[byAnnotator.size()][columns.size()];
    int row = 0;
    for (Map<ComparisonPair.Key, Integer> each : byAnnotator.values()) {
      double[] own = ratings[row++];
      Arrays.fill(own, Double.NaN);
      each.forEach((key, category) -> own[columns.get(key)] = category);
    }
    return ratings;
  }

  private static int count(double[][] ratings, int pair) {
    return (int) Arrays.stream(ratings).filter(row -> !Double.isNaN(row[pair])).count();
  }

  private static int sharedPairs(double[][] ratings) {
    int shared = 0;
    for (int i = 0; ratings.length > 0 && i < ratings[0].length; i++) {
      shared += count(ratings, i) > 1 ? 1 : 0;
    }
    return shared;
  }

  private static List<Kappa> kappas(Map<String, Map<ComparisonPair.Key, Integer>> byAnnotator) {
    List<Kappa> kappas = new ArrayList<>();
    List<String> names = List.copyOf(byAnnotator.keySet());
    for (int a = 0; a < names.size(); a++) {
      for (int b = a + 1; b < names.size(); b++) {
        Map<ComparisonPair.Key, Integer> one = byAnnotator.get(names.get(a));
        Map<ComparisonPair.Key, Integer> other = byAnnotator.get(names.get(b));
        List<ComparisonPair.Key> shared = one.keySet().stream().filter(other::containsKey).toList();
        if (!shared.isEmpty()) {
          kappas.add(
              new Kappa(
                  names.get(a),
                  names.get(b),
                  shared.size(),
                  Agreement.cohenKappa(
                      shared.stream().mapToInt(one::get).toArray(),
                      shared.stream().mapToInt(other::get).toArray())));
        }
      }
    }
    return kappas;
  }

  private static double fleiss(double[][] ratings) {
    Map<Integer, List<int[]>> bySize = new TreeMap<>();
    for (int i = 0; ratings.length > 0 && i < ratings[0].length; i++) {
      int size = count(ratings, i);
      if (size > 1) {
        int[] counts = new int[CATEGORIES];
        for (double[] row : ratings) {
          if (!Double.isNaN(row[i])) {
            counts[(int) row[i]]++;
          }
        }
        bySize.computeIfAbsent(size, any -> new ArrayList<>()).add(counts);
      }
    }
    return bySize.values().stream()
        .max((x, y) -> Integer.compare(x.size(), y.size()))
        .map(each -> Agreement.fleissKappa(each.toArray(int[][]::new)))
        .orElse(Double.NaN);
  }

  private static List<AnnotatorReport> annotators(
      ComparisonProject project, List<RecordedChoice> all) {
    Map<String, AnnotatorCounts> counts = new TreeMap<>();
    for (RecordedChoice recorded : all) {
      counts
          .computeIfAbsent(recorded.choice().annotator(), any -> new AnnotatorCounts())
          .add(recorded.choice(), project.itemOf(recorded).gold());
    }
    List<AnnotatorReport> reports = new ArrayList<>();
    counts.forEach(
        (name, each) ->
            reports.add(
                new AnnotatorReport(
                    name,
                    each.answers,
                    each.skipped,
                    each.medianSeconds(),
                    each.repeats,
                    each.consistent,
                    each.gold,
                    each.goldRight)));
    return reports;
  }

  private static List<Standing> ranking(
      ComparisonProject project, List<RecordedChoice> all, int draws, long seed) {
    List<String> names = new ArrayList<>();
    List<Comparison> comparisons = new ArrayList<>();
    for (RecordedChoice recorded : all) {
      Choice choice = recorded.choice();
      boolean tie = choice.judgment().preference() == Preference.TIE;
      if (!counts(project, recorded) || choice.winner() < 0 && !tie) {
        continue;
      }
      List<CandidateText> texts = project.itemOf(recorded).texts();
      String first = texts.get(choice.first()).candidate();
      String second = texts.get(choice.second()).candidate();
      if (!first.equals(second)) {
        comparisons.add(
            new Comparison(
                indexOf(names, first),
                indexOf(names, second),
                tie ? 0.5 : choice.winner() == choice.first() ? 1 : 0));
      }
    }
    List<Agreement.Interval> strengths =
        PairwiseRanking.intervals(names.size(), comparisons, draws, seed);
    List<Standing> ranking = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      int candidate = i;
      ranking.add(
          new Standing(
              names.get(i),
              strengths.get(i),
              count(comparisons, candidate, 1),
              count(comparisons, candidate, 0),
              count(comparisons, candidate, 0.5)));
    }
    ranking.sort((x, y) -> Double.compare(y.strength().value(), x.strength().value()));
    return ranking;
  }

  /** Counts the comparisons in which a candidate has a score. */
  private static int count(List<Comparison> comparisons, int candidate, double score) {
    return (int)
        comparisons.stream()
            .filter(
                each ->
                    each.first() == candidate && each.score() == score
                        || each.second() == candidate && 1 - each.score() == score)
            .count();
  }

  private static int indexOf(List<String> names, String name) {
    if (!names.contains(name)) {
      names.add(name);
    }
    return names.indexOf(name);
  }
}
