package dev.precis.review.comparison;

import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The order in which pairs are shown, and which text of a pair stands first. Both depend on the
 * seed, the items and the annotator alone.
 *
 * <p>The order of the pairs is the same for all annotators, so that each pair soon has as many
 * answers as it needs. Places are balanced: among the pairs of the same two candidates, in this
 * order, one of each two consecutive pairs has the one candidate first and one the other; a bit for
 * each annotator and two pairs says which.
 */
final class PairPlan {
  private final long seed;
  private final int[] order;
  private final int[] gold;
  private final int[] rank; // of each pair among those of the same candidates
  private final int[] group;

  PairPlan(ComparisonSettings settings, List<ComparisonPair> pairs) {
    seed = settings.seed();
    int[] all = IntStream.range(0, pairs.size()).toArray();
    new SplitMix64(SplitMix64.mix(seed, 0x6f72646572L)).shuffle(all);
    gold = IntStream.of(all).filter(i -> pairs.get(i).item().gold()).toArray();
    int[] regular = IntStream.of(all).filter(i -> !pairs.get(i).item().gold()).toArray();
    order =
        settings.selection() == PairSelection.LEAST_SURE
            ? Arrays.stream(regular)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> certainty(pairs.get(i))))
                .mapToInt(Integer::intValue)
                .toArray()
            : regular;
    rank = new int[pairs.size()];
    group = new int[pairs.size()];
    Map<String, Integer> counts = new HashMap<>();
    List<Integer> shown = new ArrayList<>();
    IntStream.concat(IntStream.of(order), IntStream.of(gold)).forEach(shown::add);
    for (int i : shown) {
      String name = pairs.get(i).group();
      rank[i] = counts.merge(name, 1, Integer::sum) - 1;
      group[i] = name.hashCode();
    }
  }

  /** Returns how far the reward model is from not knowing: from 0 to 1/2; 1 without scores. */
  private static double certainty(ComparisonPair pair) {
    Double probability = pair.probability();
    return probability == null ? 1 : Math.abs(probability - 0.5);
  }

  /** Returns the indices of the pairs whose answer is not known, in their order. */
  int[] order() {
    return order;
  }

  /** Returns the indices of the pairs whose answer is known. */
  int[] gold() {
    return gold;
  }

  /** Returns whether text b stands first. */
  boolean swapped(String annotator, int pair) {
    long bits = SplitMix64.mix(seed, annotator.hashCode(), group[pair], rank[pair] / 2);
    boolean first = (bits & 1) == 1;
    return first ^ rank[pair] % 2 == 1;
  }

  /** Returns a number in [0, 1) that is drawn for an annotator and the n-th of a kind. */
  double uniform(String annotator, long kind, long n) {
    return new SplitMix64(SplitMix64.mix(seed, annotator.hashCode(), kind, n)).uniform();
  }
}
