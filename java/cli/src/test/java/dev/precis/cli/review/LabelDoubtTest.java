package dev.precis.cli.review;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.review.DoubtMeasurement.Setting;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Labels that a reward model's doubt selects against labels in random order; docs/review.md has the
 * result. Takes minutes on an idle machine.
 */
@Tag("slow")
class LabelDoubtTest {
  private static final int SEEDS = 5;
  private static final int DIALOGUES = 300;
  private static final int STEPS = 300;

  /** Of Student's distribution with 4 degrees of freedom, 95 % are within so many deviations. */
  private static final double STUDENT_95 = 2.776445;

  @TempDir private Path folder;

  @Test
  void labelsByDoubtAgainstLabelsInRandomOrder() throws Exception {
    List<Integer> rounds = List.of(50, 100, 150, 200);
    List<Double> doubt = new ArrayList<>();
    List<Double> half = new ArrayList<>();
    List<Double> all = new ArrayList<>();
    try (DoubtMeasurement byDoubt =
            new DoubtMeasurement(folder, new Setting(DIALOGUES, rounds, STEPS));
        DoubtMeasurement random =
            new DoubtMeasurement(folder, new Setting(DIALOGUES, List.of(200, 400), STEPS))) {
      System.out.println("seed,random 200,random 400,doubt 200");
      for (int seed = 0; seed < SEEDS; seed++) {
        List<Double> ordered = random.run(seed, false);
        half.add(ordered.getFirst());
        all.add(ordered.getLast());
        doubt.add(byDoubt.run(seed, true).getLast());
        System.out.printf(
            Locale.ROOT,
            "%d,%.4f,%.4f,%.4f%n",
            seed,
            half.getLast(),
            all.getLast(),
            doubt.getLast());
      }
    }
    double[] gain = interval("doubt 200 - random 200", doubt, half);
    interval("doubt 200 - random 400", doubt, all);
    double[] more = interval("random 400 - random 200", all, half);
    assertEquals(SEEDS, doubt.size());
    assertTrue(more[0] > 0, "the measurement is fine enough to see twice as many labels");
    assertTrue(gain[1] > 0, "labels by doubt are clearly worse than as many in random order");
  }

  /** Prints and returns the 95 % interval of the mean difference, by Student's t over the seeds. */
  private static double[] interval(String name, List<Double> of, List<Double> minus) {
    double mean = 0;
    for (int i = 0; i < of.size(); i++) {
      mean += (of.get(i) - minus.get(i)) / of.size();
    }
    double squares = 0;
    for (int i = 0; i < of.size(); i++) {
      squares += Math.pow(of.get(i) - minus.get(i) - mean, 2);
    }
    double half = STUDENT_95 * Math.sqrt(squares / (of.size() - 1) / of.size());
    System.out.printf(
        Locale.ROOT, "%s: %+.4f (%+.4f to %+.4f)%n", name, mean, mean - half, mean + half);
    return new double[] {mean - half, mean + half};
  }
}
